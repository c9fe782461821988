//! Tests that arm fail points of their own process, which would hold up other tests in it.
//!
//! Each file arms points that no other file reaches.

mod blocks;
mod wal_checkpoint;

#[path = "../support/mod.rs"]
mod support;
