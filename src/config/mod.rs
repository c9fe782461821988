//! Command line and configuration file, in Prometheus's names and syntax.
//!
//! Strings become values, or an error that names the flag, or file, line and column. The only I/O
//! is reading the configuration files and the environment variables that it names.
//!
//! | module | contents |
//! |---|---|
//! | [`address`] | listen addresses |
//! | [`cors_origin`] | origins of CORS |
//! | [`effective`] | the effective configuration as YAML |
//! | [`expand`] | environment variables in external labels |
//! | [`external_url`] | external URL and route prefix |
//! | [`mod@file`] | the configuration file |
//! | [`flag_values`] | parser of the command line; the value of every flag |
//! | [`flags`] | the flags of narthex |
//! | [`glob`] | files that match a pattern |
//! | [`prometheus_flags`] | flags and features of Prometheus that narthex does not have |
//! | [`settings`] | TSDB settings from flags and file |
//! | [`units`] | durations, sizes and counts |
//! | [`web`] | the web configuration file |
//! | [`yaml`] | YAML documents with positions; errors of configuration files |

pub mod address;
pub mod cors_origin;
pub mod effective;
pub mod expand;
pub mod external_url;
pub mod file;
pub mod flag_values;
pub mod flags;
pub mod glob;
pub mod prometheus_flags;
pub mod settings;
pub mod units;
pub mod web;
pub mod yaml;
