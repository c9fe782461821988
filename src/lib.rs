//! narthex: a storage backend for Prometheus's remote write and remote read.

pub mod model;
pub mod tsdb;
