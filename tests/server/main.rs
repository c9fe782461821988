//! The real binary over its port: response contract, protocols, life cycle, and directories of
//! Prometheus 3.14.0.

mod atomicity;
mod config_check;
mod contract;
mod contract_http;
mod contract_kinds;
mod docs;
mod docs_reference;
mod exemplars;
mod golden;
mod golden_blocks;
mod grpc;
mod grpc_stream;
mod health_check;
mod labels;
mod lifecycle;
mod lingering;
mod log_output;
mod panics;
mod reload;
mod scrape_golden;
mod scrape_load;
mod scrape_reload;
mod scrape_storage;
mod secrets;
mod self_scrape;
mod sidecar;
mod status_blocks;
mod streamed_read;
mod target_check;
mod thanos_store;
mod thanos_write;
mod tls_rotation;
mod users;
mod web_config_check;

#[path = "../support/mod.rs"]
mod support;
