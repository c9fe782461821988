//! The program: from the command line to a running server and its orderly end.

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
