//! State of a target between two scrapes.
//!
//! | module | contents |
//! |---|---|
//! | [`metadata`] | metadata of the metric families of a target |
//! | [`series`] | raw bytes of a series in the body → series in storage, and stale series |

pub mod metadata;
pub mod series;
