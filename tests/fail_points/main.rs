//! Tests that arm fail points of their own process. Other tests in it would pause there, too.
//!
//! Each file arms fail points that no other file reaches.

mod blocks;
mod wal_checkpoint;

#[path = "../support/mod.rs"]
mod support;
