//! Log of failed queries, at a limited rate: file, offset and cause of a corruption are fields.

use crate::log_limit::LogLimit;
use crate::tsdb::db::{Corruption, QueryError};
use std::sync::LazyLock;
use std::time::Instant;

/// Rate limit of failed queries: a client can repeat one that reads corrupted data.
static LIMIT: LazyLock<LogLimit> = LazyLock::new(|| LogLimit::new("errors of stored data"));

/// Logs the error of a query. `operation` is a verb phrase, such as "list labels".
pub(crate) fn log_query_error(operation: &'static str, error: &QueryError) {
    let Some(suppressed) = LIMIT.admit(Instant::now()) else { return };
    match error {
        QueryError::Corrupted(Corruption { path, offset, cause }) => {
            let file = path.display();
            tracing::error!(operation, %file, offset, error = %cause, suppressed, "cannot read stored data");
        }
        QueryError::CorruptedChunk { series, defect } => {
            tracing::error!(operation, %series, error = %defect, suppressed, "cannot decode stored chunk");
        }
        QueryError::SeriesOrder { series, previous } => {
            tracing::error!(operation, %series, %previous, suppressed, "stored series are out of order");
        }
    }
}
