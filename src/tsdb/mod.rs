//! The storage engine, synchronous throughout: no async runtime, no HTTP, no gRPC and no protobuf library inside.

pub mod block;
pub mod chunk;
pub mod compact;
pub mod db;
pub mod encoding;
pub mod fs;
pub mod head;
pub mod index;
pub mod query;
pub mod tombstones;
pub mod wal;
