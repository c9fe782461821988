//! Scraping: pulls samples from targets, as Prometheus does.
//!
//! | module | contents |
//! |---|---|
//! | [`target`] | labels of targets and of their series |

pub mod target;
