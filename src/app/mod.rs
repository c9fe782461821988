//! The program: builds a running server from the command line and shuts it down.
//!
//! | module | contents |
//! |---|---|
//! | `banner` | text on standard output when the server is ready |
//! | `logging` | log lines and panics on standard error |
//! | `metrics` | metrics of the engine |
//! | `output` | bounded queues in front of standard output and standard error |
//! | `reload` | reload of the configuration file |
//! | [`serve`] | life cycle of the process |
//! | `setup` | options and shared state from flags |
//! | `sockets` | listening sockets |

mod banner;
mod logging;
mod metrics;
mod output;
mod reload;
pub mod serve;
mod setup;
mod sockets;

#[cfg(test)]
mod tests;
