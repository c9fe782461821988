//! Errors of merges.

use crate::tsdb::query::source::QueryError;

/// Error of a merge.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] QueryError),
    /// A symbol of a source is not greater than the previous one.
    #[error("corrupted data: symbol {symbol:?} follows {previous:?}")]
    SymbolOrder {
        /// Label name or value.
        symbol: String,
        /// Symbol before it.
        previous: String,
    },
}
