//! Targets and scrape pools, in Prometheus's format.
//!
//! Every endpoint responds 503 until the server is ready, as in Prometheus.
//!
//! | module | contents |
//! |---|---|
//! | `global_url` | URLs of targets as other hosts reach them |
//! | `labels_json` | label sets in JSON |
//! | `list` | active and dropped targets |
//! | `metadata` | type, help and unit of the metrics that targets expose |
//! | `pools` | names of scrape pools, and the configuration of one |
//! | `relabel_steps` | labels after each relabeling rule of a pool |

pub(crate) mod global_url;
mod labels_json;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod pools;
pub(crate) mod relabel_steps;

use crate::scrape::scraper::Scraper;
use crate::server::api::targets::global_url::ServerAddress;
use std::fmt;
use std::sync::Arc;

/// State of the targets API.
pub struct TargetsState {
    /// Scraper of all jobs.
    pub scraper: Arc<Scraper>,
    /// Address of this server, for the URLs of targets on this host.
    pub address: ServerAddress,
}

impl fmt::Debug for TargetsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetsState").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
