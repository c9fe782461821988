//! Status API, in Prometheus's format.
//!
//! | file         | content                                     |
//! |--------------|---------------------------------------------|
//! | `runtime`    | configuration, flags, process, WAL replay   |
//! | `build`      | API level and version                       |
//! | `features`   | features that are supported and enabled     |
//! | `rejections` | recent rejections of written data           |
//! | `tsdb`       | statistics of the head, metadata of blocks  |

pub(crate) mod build;
pub(crate) mod features;
pub(crate) mod rejections;
pub(crate) mod runtime;
pub(crate) mod tsdb;

use crate::metrics::registry::Counter;
use crate::server::management::configuration::Configuration;
use crate::tsdb::db::DbHandle;
use std::collections::BTreeMap;
use std::sync::Arc;

/// State of the status API.
#[derive(Debug)]
pub struct StatusState {
    /// Database, for its settings.
    pub db: Arc<DbHandle>,
    /// Flags and their displayed values.
    pub flags: BTreeMap<String, String>,
    /// Configuration file, without the database settings.
    pub configuration: Arc<Configuration>,
    /// Number of WAL corruptions that the last start found.
    pub corruptions: Counter,
}
