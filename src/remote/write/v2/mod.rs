//! Remote write 2.0: `io.prometheus.write.v2.Request`, whose strings are in a symbol table.
//!
//! | module | content |
//! |---|---|
//! | [`request_index`] | index of a request, decoded in place |
//! | [`series`] | series of a request, decoded in place |
//! | `series_span` | position and contents of a series in the body |
//! | [`symbols`] | symbol table of a request |
//! | `refs` | lists of symbol references |
//! | `label_bytes` | labels encoded from symbols, in the format of stored labels |
//! | `sample` | decoder of a sample |
//! | `exemplar` | decoder of an exemplar |
//! | `metadata` | decoder of the metadata of a series |

mod exemplar;
mod label_bytes;
mod metadata;
mod refs;
pub mod request_index;
mod sample;
pub mod series;
mod series_span;
pub mod symbols;
