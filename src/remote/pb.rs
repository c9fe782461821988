//! Messages of the protocols, generated from `proto/` at build time into one module per package.
//!
//! prost decodes and encodes everything that is not performance-critical: read requests and gRPC
//! responses. Write requests go through [`crate::remote::write::v1::request_index`] and its
//! siblings.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::all, reason = "generated from proto/")]

include!(concat!(env!("OUT_DIR"), "/messages.rs"));

/// Encoded `google.protobuf.FileDescriptorSet` of all messages, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
