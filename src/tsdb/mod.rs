//! Storage engine. Synchronous throughout: it uses no async runtime and no HTTP, gRPC or protobuf
//! library.
//!
//! | module | contents |
//! |--------|----------|
//! | [`block`] | immutable blocks |
//! | [`chunk`] | chunk codecs, and files of head chunks and block chunks |
//! | [`compact`] | compaction and selection for retention |
//! | [`db`] | database of one data directory |
//! | [`encoding`] | encoding of integers, bits and checksums |
//! | [`fs`] | file system access |
//! | [`head`] | head: recent samples in memory |
//! | [`index`] | inverted index of the head, index of a block |
//! | [`prefetch`] | prefetch of memory that an append will need |
//! | [`query`] | sources of a query and their merge |
//! | [`tombstones`] | deleted time ranges of series |
//! | [`wal`] | write-ahead log and write-behind log |

pub mod block;
pub mod chunk;
pub mod compact;
pub mod db;
pub mod encoding;
pub mod fs;
pub mod head;
pub mod index;
pub mod prefetch;
pub mod query;
pub mod tombstones;
pub mod wal;
