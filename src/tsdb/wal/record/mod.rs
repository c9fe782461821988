//! The records of the log: one file for each kind, encoder and decoder side by side.
//!
//! A record is a byte that names its kind and, up to the end of the record, entries of that kind. Nothing counts the
//! entries, so a record that ends within one is damaged. All kinds are drawn in the file that decodes them.
//!
//! | byte   | kind                     | file             | written here |
//! |--------|--------------------------|------------------|--------------|
//! | 1      | series                   | `series.rs`      | yes          |
//! | 2, 11  | samples, with start time | `samples.rs`     | yes          |
//! | 3      | tombstones               | `tombstones.rs`  | yes          |
//! | 4      | exemplars                | `exemplars.rs`   | yes          |
//! | 5      | m-map markers (WBL only) | `mmap_markers.rs`| yes          |
//! | 6      | metadata                 | `metadata.rs`    | yes          |
//! | 7..=10, 12, 13 | histograms       | `histograms.rs`, `histogram_encoder.rs` | yes |
//!
//! `builder.rs` writes records whose entries come one by one.
//!
//! Decoders take a whole record as the reader hands it out (decompressed), trust no length in it, and allocate at most in
//! proportion to its bytes. Source: `tsdb/record` of Prometheus 3.14, the authority where `wal.md` lags behind.

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
