//! Remote write 1.0: `prometheus.WriteRequest`.
//!
//! | module | content |
//! |---|---|
//! | [`request_index`] | index of a request, decoded in place |
//! | `series_span` | position and contents of a series in the body |
//! | `sample` | decoder of a sample |
//! | [`series`] | series of a request, decoded in place |
//! | [`metadata`] | metadata of a request, decoded in place |

pub mod metadata;
pub mod request_index;
mod sample;
pub mod series;
pub(crate) mod series_span;
