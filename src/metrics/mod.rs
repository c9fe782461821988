//! Metrics of narthex itself: primitives and text encoding.
//!
//! This module does not know the domain: each component registers its own metrics, under
//! Prometheus's names where they exist.
//!
//! | module | content |
//! |---|---|
//! | [`duration_summary`] | summaries of durations |
//! | [`process`] | process metrics from `/proc` |
//! | [`quantiles`] | quantiles of durations |
//! | [`registry`] | registry of all metrics |
//! | [`text`] | exposition formats |

pub mod duration_summary;
pub mod process;
pub mod quantiles;
pub mod registry;
pub mod text;
