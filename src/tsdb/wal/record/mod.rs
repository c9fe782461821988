//! Records of a log: encoders and decoders, one file per type.
//!
//! A record is a type byte, then entries of that type up to its end. There is no entry count, so a
//! record that ends within an entry is corrupted. The file of the decoder has the format.
//!
//! | byte           | type                          | file                                       |
//! |----------------|-------------------------------|--------------------------------------------|
//! | 1              | series                        | `series.rs`                                |
//! | 2, 11          | float samples                 | `samples.rs`                               |
//! | 3              | tombstones                    | `tombstones.rs`                            |
//! | 4              | exemplars                     | `exemplars.rs`                             |
//! | 5              | m-map markers (WBL only)      | `mmap_markers.rs`                          |
//! | 6              | metadata                      | `metadata.rs`                              |
//! | 7..=10, 12, 13 | histograms                    | `histograms.rs`, `histogram_encoder.rs`    |
//! |                | type byte                     | `record_type.rs`                           |
//! |                | label sets inside records     | `label_set.rs`                             |
//! |                | record that grows by entries  | `builder.rs`                               |
//! |                | decoding errors               | `error.rs`                                 |
//!
//! Decoders take a complete, decompressed record. They trust no length in it and allocate in
//! proportion to its bytes. Source: `tsdb/record` of Prometheus 3.14, which takes precedence over
//! its `wal.md`.
//!
//! # New types
//! Only Prometheus adds types. A new one needs, in addition to its file: [`record_type`] with
//! `NEWEST_KNOWN`, [`crate::tsdb::wal::batch`] and [`builder`] if narthex writes it,
//! [`crate::tsdb::wal::checkpoint_filter`], the replays of the head (of the WAL, of the WBL, and of
//! the records that a chunk snapshot lacks), and the list in `fuzz/checks/wal_record.rs`.

pub mod builder;
pub mod error;
pub mod exemplars;
pub mod histogram_encoder;
pub mod histograms;
pub mod label_set;
pub mod metadata;
pub mod mmap_markers;
pub mod record_type;
pub mod samples;
pub mod series;
pub mod tombstones;
