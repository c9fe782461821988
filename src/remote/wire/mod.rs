//! Protobuf messages of Prometheus, decoded in place: what remote write and remote read share.
//!
//! | module | content |
//! |---|---|
//! | [`protobuf`] | cursor over protobuf messages |
//! | `schema` | validation of messages by their known fields |
//! | `label` | decoder of a label |
//! | [`histogram`] | decoder of a native histogram |
//! | [`exemplar`] | decoder of an exemplar |
//! | [`symbol_ref_error`] | errors of symbol references in a 2.0 request |

pub mod exemplar;
pub mod histogram;
pub(crate) mod label;
pub mod protobuf;
pub(crate) mod schema;
pub mod symbol_ref_error;
