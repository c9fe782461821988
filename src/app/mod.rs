//! The program: builds a server from the command line, runs it and shuts it down.
//!
//! | module | contents |
//! |---|---|
//! | `application` | builds and runs a server on a data directory |
//! | `banner` | text on standard output when the server is ready |
//! | `check` | checks of files, without a server |
//! | `client_problems` | HTTP clients of a configuration that cannot be created |
//! | [`command_line`] | entry point: parses the command line and runs the command |
//! | `config` | configuration of the parts, from flags and file |
//! | `config_watcher` | automatic reload of the configuration file |
//! | `error` | error of a run |
//! | `logging` | log lines and panics on standard error |
//! | `management` | management listener |
//! | `metrics` | metrics of the engine |
//! | `output` | bounded queues in front of standard output and standard error |
//! | `parts` | parts of the server, each built from its configuration |
//! | `reload` | reload of the configuration file |
//! | `scraping` | scraping and discovery, and their configuration |
//! | `serve` | set-up of the process |
//! | `signals` | signals of the process |
//! | `sockets` | listening sockets |
//! | `web_config` | the web configuration file: load, reload |

mod application;
mod banner;
mod check;
mod client_problems;
pub mod command_line;
mod config;
mod config_watcher;
mod error;
mod logging;
mod management;
mod metrics;
mod output;
mod parts;
mod reload;
mod scraping;
mod serve;
mod signals;
mod sockets;
mod web_config;

#[cfg(test)]
mod tests;
