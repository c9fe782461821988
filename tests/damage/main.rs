//! The real binary on damaged directories and on a disk that fills up.

mod blocks;
mod disk_full;
mod wal;

#[path = "../support/mod.rs"]
mod support;
