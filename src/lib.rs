//! Storage backend for Prometheus's remote write and remote read.
//!
//! The binary uses only [`app`]. The feature `testing` exports the other modules to tests,
//! benchmarks and fuzz targets. Without it they are private, so that the compiler finds code that
//! the program does not use.
#![cfg_attr(not(feature = "testing"), allow(unreachable_pub))]

pub mod app;
#[cfg(not(feature = "testing"))]
mod config;
#[cfg(feature = "testing")]
pub mod config;
#[cfg(not(feature = "testing"))]
mod discovery;
#[cfg(feature = "testing")]
pub mod discovery;
#[cfg(not(feature = "testing"))]
mod exposition;
#[cfg(feature = "testing")]
pub mod exposition;
#[cfg(not(feature = "testing"))]
mod http_client;
#[cfg(feature = "testing")]
pub mod http_client;
#[cfg(not(feature = "testing"))]
mod ingest;
#[cfg(feature = "testing")]
pub mod ingest;
mod log_limit;
#[cfg(not(feature = "testing"))]
mod metrics;
#[cfg(feature = "testing")]
pub mod metrics;
#[cfg(not(feature = "testing"))]
mod model;
#[cfg(feature = "testing")]
pub mod model;
#[cfg(not(feature = "testing"))]
mod promql;
#[cfg(feature = "testing")]
pub mod promql;
#[cfg(not(feature = "testing"))]
mod remote;
#[cfg(feature = "testing")]
pub mod remote;
#[cfg(not(feature = "testing"))]
mod scrape;
#[cfg(feature = "testing")]
pub mod scrape;
#[cfg(not(feature = "testing"))]
mod server;
#[cfg(feature = "testing")]
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(not(feature = "testing"))]
mod tsdb;
#[cfg(feature = "testing")]
pub mod tsdb;
