//! Replays: rebuild the head from `chunks_head/`, the checkpoint, the WAL and the WBL.
//!
//! | module                | content                                                   |
//! |-----------------------|-----------------------------------------------------------|
//! | `disk_chunks`         | chunks of `chunks_head/` by series                        |
//! | [`report`]            | progress and counts                                       |
//! | [`snapshot_metadata`] | metadata of a head that was loaded from a chunk snapshot  |
//! | [`wal`]               | in-order samples, from `chunks_head/`, checkpoint and WAL |
//! | [`wbl`]               | out-of-order samples, from `chunks_head/` and `wbl/`      |
//! | `worker`              | one thread that rebuilds its series                       |
//! | `workers`             | pool of these threads                                     |

mod disk_chunks;
pub mod report;
pub mod snapshot_metadata;
pub mod wal;
pub mod wbl;
mod worker;
mod workers;
