//! The write-ahead log: what was accepted stands in it before anyone is told.
//!
//! | file             | what                                                         |
//! |------------------|--------------------------------------------------------------|
//! | `record/`        | what stands in a record, one file for each kind              |
//! | `compression.rs` | compression of single records                                |
//! | `page.rs`        | how records stand in a file: pages and fragments             |
//! | `segment.rs`     | the files and their names                                    |
//! | `checkpoint.rs`  | the directory that stands for segments that are gone         |
//! | `lost_checkpoint.rs` | evidence that one was lost, and starting without it      |
//! | `checkpoint_filter.rs`  | what of a record a new checkpoint keeps                |
//! | `checkpoint_writer.rs` | making one out of segments                             |
//! | `truncation.rs`  | a checkpoint made, what it stands for removed                |
//! | `reader.rs`      | reading a file record by record, up to the first damage      |
//! | `corruption.rs`      | what is wrong, where, and whether it looks like a torn write |
//! | `repair.rs`      | keeping what stands before the damage, setting aside the rest|
//! | `batch.rs`       | what one request adds, encoded as it comes                   |
//! | `group.rs`       | records that wait for one write                              |
//! | `writer.rs`      | laying records into segments                                 |
//! | `write_log.rs`      | the log as the head sees it: many requests, one write        |
//! | `stats.rs`       | its counters                                                 |
//!
//! All of it is Prometheus's format, bit for bit (`tsdb/wlog` and `tsdb/record` of Prometheus 3.14); the WBL has the same.
//!
//! Invariants: what a reader hands out is what was written. The order of the log is that in which batches were enqueued. No
//! record follows a torn one. Nothing here knows the head.

pub mod batch;
pub mod checkpoint;
pub mod checkpoint_filter;
pub mod checkpoint_writer;
pub mod compression;
pub mod corruption;
pub mod error;
pub mod group;
pub mod lost_checkpoint;
pub mod page;
pub mod reader;
pub mod record;
pub mod repair;
pub mod segment;
pub mod stats;
pub mod truncation;
pub mod write_log;
pub mod writer;
