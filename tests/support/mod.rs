//! Shared by the integration tests: programs, reference implementations, wire messages, and sample
//! sets.
//!
//! Tests control the program by its command line, port and data directory. The messages in [`wire`]
//! are declared again by hand, so that a mistake in narthex cannot hide. [`engine`] and [`life`]
//! use a database in the test's own process. Tests wait for conditions within a deadline and never
//! sleep for a fixed time.

#![allow(dead_code, reason = "every test binary uses the part that it needs")]

pub(crate) mod admin;
pub(crate) mod atomic;
pub(crate) mod blocks;
pub(crate) mod checked;
pub(crate) mod clock;
pub(crate) mod damage;
pub(crate) mod data;
pub(crate) mod dir;
pub(crate) mod dump;
pub(crate) mod engine;
pub(crate) mod export;
pub(crate) mod exposer;
pub(crate) mod foreign;
pub(crate) mod golden;
pub(crate) mod good;
pub(crate) mod http;
pub(crate) mod launch;
pub(crate) mod ledger;
pub(crate) mod life;
pub(crate) mod log_entries;
pub(crate) mod markdown;
pub(crate) mod metrics;
pub(crate) mod points;
pub(crate) mod program;
pub(crate) mod promtool;
pub(crate) mod remote;
pub(crate) mod samples;
pub(crate) mod scrapes;
pub(crate) mod scripted;
pub(crate) mod seed;
pub(crate) mod stream;
pub(crate) mod streamed;
pub(crate) mod ticks;
pub(crate) mod tls;
pub(crate) mod wait;
pub(crate) mod web_config;
pub(crate) mod wire;
pub(crate) mod writers;
