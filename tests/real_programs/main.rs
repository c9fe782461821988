//! narthex with real programs: Debian's prometheus, promtool, node exporter and Pushgateway, squid,
//! tinyproxy, knot, clients and servers in Python, and curl.
//!
//! `tests/run` installs them; a test that needs one is ignored otherwise.

mod admin;
mod config;
mod curl;
mod directory;
mod directory_blocks;
mod directory_kinds;
mod discovery;
mod dns;
mod docs;
mod early_responses;
mod end_to_end;
mod http_client;
mod metadata;
mod metrics_lint;
mod native_histograms;
mod openmetrics;
mod oracle;
mod proxies;
mod real_clients;
mod relabel;
mod scrape_credentials;
mod scrape_side_by_side;
mod status_api;
mod tls;
mod users;
mod web_config;

#[path = "../support/mod.rs"]
mod support;
