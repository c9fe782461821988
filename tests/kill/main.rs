//! The real binary, killed at random moments and at every fail point, and started again.

mod blocks;
mod pitfalls;
mod wal;

#[path = "../support/mod.rs"]
mod support;
