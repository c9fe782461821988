//! Data model: plain values that all parts of narthex share.
//!
//! Nothing here uses a file, a socket, a clock or a lock.
//!
//! | module | content |
//! |---|---|
//! | [`exemplar`] | exemplars |
//! | [`float_sample`] | float samples and the stale marker |
//! | [`go_format`] | texts of numbers and strings as Go writes them |
//! | [`histogram`] | native histograms |
//! | [`intervals`] | sets of time ranges |
//! | [`label_editor`] | label sets that can be edited |
//! | [`label_name`] | validation schemes of names |
//! | [`labels`] | label sets |
//! | [`matcher`] | matchers and regular expressions |
//! | [`metadata`] | metric type, unit and help |
//! | [`metric_family`] | names of the series of a metric family |
//! | [`refs`] | series and chunk references |
//! | [`relabel`] | relabeling rules |
//! | [`sample`] | samples of any value type |
//! | [`secret`] | passwords and tokens that are never shown |
//! | [`time`] | time ranges and RFC 3339 |
//! | [`url`] | absolute URLs |

pub mod exemplar;
pub mod float_sample;
pub mod go_format;
pub mod histogram;
pub mod intervals;
pub mod label_editor;
pub mod label_name;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod metric_family;
pub mod refs;
pub mod relabel;
pub mod sample;
pub mod secret;
pub mod time;
pub mod url;
