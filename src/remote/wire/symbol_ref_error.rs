//! Error of symbol references in a remote write 2.0 request.

/// Error of label or metadata references.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SymbolRefError {
    /// The number of label references is odd, so a name has no value.
    #[error("odd number of label references: {0}")]
    Odd(usize),
    /// A reference is outside the symbol table.
    #[error("reference {reference} is outside the table of {symbols} symbols")]
    Outside {
        /// Reference that was found.
        reference: u32,
        /// Number of symbols in the table.
        symbols: usize,
    },
}
