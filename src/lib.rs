//! Storage backend for Prometheus's remote write and remote read.

pub mod app;
pub mod config;
pub mod ingest;
pub mod metrics;
pub mod model;
mod promql;
pub mod remote;
pub mod server;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tsdb;
