//! State of a target between two scrapes.
//!
//! | module | contents |
//! |---|---|
//! | [`metadata`] | metadata of the metric families of a target |
//! | [`series`] | raw bytes of a series in the body → series in storage, and stale series |
//! | [`unstored`] | series of failed scrapes, for the count of new series |
//! | [`untimed_exemplars`] | repetitions of exemplars without a timestamp |

pub mod metadata;
pub mod series;
pub mod unstored;
pub mod untimed_exemplars;
