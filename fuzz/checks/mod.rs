//! The properties that hold for any bytes, one function for each kind of input.
//!
//! A fuzz target and `tests/formats/fuzz_corpus.rs` call the same function, so an input that was found once stays tested on the
//! stable toolchain. A function returns if its property holds and panics if not; it looks at nothing but its argument
//! (and, for files, a temporary directory), so a finding can be repeated from its bytes alone.

pub(crate) mod block_index;
pub(crate) mod chunk_segment;
pub(crate) mod head_chunks;
pub(crate) mod histogram_chunk;
pub(crate) mod matcher;
pub(crate) mod messages;
pub(crate) mod messages_v2;
pub(crate) mod read_request;
pub(crate) mod series_request;
pub(crate) mod stream_request;
pub(crate) mod thanos_write_request;
pub(crate) mod tombstones;
pub(crate) mod unpack;
pub(crate) mod wal_reader;
pub(crate) mod wal_record;
pub(crate) mod write_request;
pub(crate) mod write_request_v2;
pub(crate) mod xor2_chunk;
pub(crate) mod xor_chunk;
