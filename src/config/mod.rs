//! What the operator chose: the command line and the configuration file, in Prometheus's names and syntax.
//!
//! Pure: texts go in, values or an error that names flag, file and line come out. Nothing is opened, bound or started
//! here except that the configuration file is read.

pub mod address;
pub mod effective;
pub mod expand;
pub mod file;
pub mod flag_values;
pub mod flags;
pub mod prometheus_flags;
pub mod settings;
pub mod units;
