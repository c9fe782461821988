//! Log of failed queries: file, offset and cause of a corruption are fields.

use crate::tsdb::db::{Corruption, QueryError};

/// Logs the error of a query. `operation` is a verb phrase, such as "list labels".
pub(crate) fn log_query_error(operation: &'static str, error: &QueryError) {
    match error {
        QueryError::Corrupted(Corruption { path, offset, cause }) => {
            let file = path.display();
            tracing::error!(operation, %file, offset, error = %cause, "cannot read stored data");
        }
        QueryError::CorruptedChunk { series, defect } => {
            tracing::error!(operation, %series, error = %defect, "cannot decode stored chunk");
        }
        QueryError::SeriesOrder { series, previous } => {
            tracing::error!(operation, %series, %previous, "stored series are out of order");
        }
    }
}
