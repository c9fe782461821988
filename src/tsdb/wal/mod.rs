//! Write-ahead log (WAL): accepted samples are in it before the response is sent.
//!
//! | file                   | content                                                            |
//! |------------------------|--------------------------------------------------------------------|
//! | `record/`              | encoders and decoders of records, one file per type                |
//! | `compression.rs`       | compression of single records                                      |
//! | `page.rs`              | pages and fragments: the layout of records in a segment            |
//! | `segment.rs`           | segment files and their names                                      |
//! | `checkpoint.rs`        | checkpoints: directories that replace removed segments             |
//! | `lost_checkpoint.rs`   | detection of a lost checkpoint, and starting without it            |
//! | `checkpoint_filter.rs` | selection of the entries that a checkpoint keeps                   |
//! | `checkpoint_writer.rs` | writer of checkpoints                                              |
//! | `truncation.rs`        | replacement of old segments by a checkpoint                        |
//! | `reader.rs`            | reader of a segment, up to the first corruption                    |
//! | `corruption.rs`        | position, reason and extent of a corruption                        |
//! | `repair.rs`            | truncation at a corruption; the rest goes to quarantine            |
//! | `batch.rs`             | records of one request                                             |
//! | `group.rs`             | records of one write                                               |
//! | `writer.rs`            | writer of segments                                                 |
//! | `log_state.rs`         | state of a log: writable, without space, failed                    |
//! | `write_log.rs`         | group commit: the interface to the head                            |
//! | `stats.rs`             | counters                                                           |
//! | `error.rs`             | errors of opening and writing a log                                |
//!
//! The format is that of Prometheus 3.14 (`tsdb/wlog`, `tsdb/record`), byte for byte. The WBL has
//! the same format.
//!
//! # Invariants
//! - A reader returns what was written, in the order in which batches were enqueued.
//! - No record follows a torn one.
//! - Nothing here depends on the head.

pub mod batch;
pub mod checkpoint;
pub mod checkpoint_filter;
pub mod checkpoint_writer;
pub mod compression;
pub mod corruption;
pub mod error;
pub mod group;
pub mod log_state;
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
