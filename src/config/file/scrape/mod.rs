//! Sections `scrape_configs` and `scrape_config_files`, and their defaults in `global`.
//!
//! | module | contents |
//! |---|---|
//! | [`defaults`] | defaults of the jobs, from `global` |
//! | `effective` | sections of the effective configuration |
//! | [`job`] | a job: one entry of `scrape_configs` |
//! | [`limits`] | limits of a scrape |
//! | [`names`] | validation and escaping of names |
//! | [`protocol`] | exposition formats that a scrape requests |
//! | `relabel` | relabeling rules |
//! | [`section`] | all jobs, with those of included files |

pub mod defaults;
pub(crate) mod effective;
pub mod job;
pub mod limits;
pub mod names;
pub mod protocol;
mod relabel;
pub mod section;

#[cfg(test)]
mod tests;
