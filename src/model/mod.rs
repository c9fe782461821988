//! The values that every part of narthex speaks of: labels, matchers, samples, histograms, references, time ranges.
//!
//! Pure values: nothing here touches a file, a socket, a clock or a lock.

pub mod exemplar;
pub mod float_sample;
pub mod histogram;
pub mod intervals;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod metric_family;
pub mod refs;
pub mod sample;
pub mod time;
