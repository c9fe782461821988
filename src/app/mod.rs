//! The program: builds a running server from the command line and shuts it down.
//!
//! | module | contents |
//! |---|---|
//! | `banner` | text on standard output when the server is ready |
//! | `db_metrics` | metrics of maintenance and of the disk |
//! | `engine_metrics` | metrics of head, WAL, WBL and replay |
//! | `exemplar_metrics` | metrics of the exemplar storage |
//! | `logging` | log lines and panics on standard error |
//! | `ooo_metrics` | metrics of out-of-order samples |
//! | `output` | bounded queues in front of standard output and standard error |
//! | `reload` | reload of the configuration file |
//! | [`serve`] | life cycle of the process |
//! | `setup` | options and shared state from flags |
//! | `sockets` | listening sockets |
//!
//! Test-only modules: `edge` (server without sockets), `ways` (write paths), `error_details` (gRPC
//! error details) and `*_tests`.

mod banner;
mod db_metrics;
mod engine_metrics;
mod exemplar_metrics;
mod logging;
mod ooo_metrics;
mod output;
mod reload;
pub mod serve;
mod setup;
mod sockets;

#[cfg(test)]
mod admin_tests;
#[cfg(test)]
mod compression_tests;
#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod contract_v2_tests;
#[cfg(test)]
mod counter_tests;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod encoding_tests;
#[cfg(test)]
mod error_details;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod golden_api_tests;
#[cfg(test)]
mod grpc_read_tests;
#[cfg(test)]
mod grpc_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod surface_tests;
#[cfg(test)]
mod thanos_write_tests;
#[cfg(test)]
mod ways;
#[cfg(test)]
mod ways_tests;
