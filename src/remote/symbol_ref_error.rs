//! Why references to the symbols of a remote write 2.0 request are refused.

/// References that don't lead to texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SymbolRefError {
    /// Names and values come in pairs.
    #[error("{0} label references, which is an odd number")]
    Odd(usize),
    /// There is no such symbol.
    #[error("reference {reference} to a table of {symbols} symbols")]
    Outside {
        /// What was referred to.
        reference: u32,
        /// How many symbols there are.
        symbols: usize,
    },
}
