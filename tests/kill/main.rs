//! Kills of the real binary at random times and at every fail point, and restarts.

mod atomicity;
mod blocks;
mod pitfalls;
mod wal;

#[path = "../support/mod.rs"]
mod support;
