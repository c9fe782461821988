//! The real binary on corrupted directories and on a full disk.

mod blocks;
mod disk_full;
mod wal;

#[path = "../support/mod.rs"]
mod support;
