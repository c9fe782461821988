//! Properties that hold for arbitrary bytes, one function per kind of input.
//!
//! Fuzz targets and `tests/formats/fuzz_corpus.rs` call the same functions, so that every finding
//! stays tested on the stable toolchain. A function returns if its property holds and panics
//! otherwise. Its only input is the argument (and a temporary directory for files), so the bytes
//! alone reproduce a finding.

pub(crate) mod block_index;
pub(crate) mod chunk_segment;
pub(crate) mod config_file;
pub(crate) mod exposition;
pub(crate) mod exposition_protobuf;
pub(crate) mod expression;
pub(crate) mod head_chunks;
pub(crate) mod histogram_chunk;
pub(crate) mod matcher;
pub(crate) mod messages;
pub(crate) mod messages_v2;
pub(crate) mod read_request;
pub(crate) mod relabel_rule;
pub(crate) mod series_request;
pub(crate) mod stream_request;
pub(crate) mod thanos_write_request;
pub(crate) mod tombstones;
pub(crate) mod unpack;
pub(crate) mod wal_reader;
pub(crate) mod wal_record;
pub(crate) mod web_config_file;
pub(crate) mod write_request;
pub(crate) mod write_request_v2;
pub(crate) mod xor2_chunk;
pub(crate) mod xor_chunk;
