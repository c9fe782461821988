//! Metrics of the engine, under Prometheus's names.
//!
//! | module | contents |
//! |---|---|
//! | `db` | metrics of maintenance |
//! | `engine` | metrics of head, WAL, WBL and replay |
//! | `exemplars` | metrics of the exemplar storage |
//! | `out_of_order` | metrics of out-of-order samples |
//! | `retention` | metrics of the retention limits and of the disk |

mod db;
pub(crate) mod engine;
mod exemplars;
mod out_of_order;
mod retention;
