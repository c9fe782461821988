//! The messages of the protocols, generated from `proto/` at build time, in modules named after their packages.
//!
//! prost is the schema, and it decodes and encodes whatever is not hot: requests to read, answers over gRPC. Write
//! requests go through [`crate::remote::request_index_v1`] and its like instead.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from proto/")]

include!(concat!(env!("OUT_DIR"), "/messages.rs"));

/// All of them as a `google.protobuf.FileDescriptorSet`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
