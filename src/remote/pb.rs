//! The messages of the protocols, generated from `proto/` at build time.
//!
//! prost is the schema, and it decodes and encodes whatever is not hot: requests to read, answers over gRPC. A write
//! request goes through [`crate::remote::reader`] instead.

/// Package `prometheus`: remote write 1.0 and remote read.
#[allow(missing_docs, clippy::all, reason = "generated from proto/")]
pub mod prometheus {
    include!(concat!(env!("OUT_DIR"), "/prometheus.rs"));
}

/// Package `narthex.v1`: narthex's own gRPC service.
#[allow(missing_docs, clippy::all, reason = "generated from proto/")]
pub mod narthex_v1 {
    include!(concat!(env!("OUT_DIR"), "/narthex.v1.rs"));
}
