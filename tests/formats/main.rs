//! Files of Prometheus 3.14.0, read and written byte for byte, and corrupted input to every
//! decoder.

mod block_golden;
mod block_index_golden;
mod chunk_golden;
mod config_golden;
mod exposition_golden;
mod exposition_protobuf;
mod fuzz_corpus;
mod promql_golden;
mod wal_corruption;
mod wal_golden;
mod wal_repair;

#[path = "../support/mod.rs"]
mod support;
