//! Selectors on their own, as in `match[]`, and those of an expression.

use crate::model::matcher::Matcher;
use crate::promql::error::ParseError;
use crate::promql::features::Features;
use crate::promql::parser::{parse_expression, parse_selector};

/// Maximum number of selectors that are taken from one expression.
const MAX_SELECTORS: usize = 1000;

/// Error of a selector, or of an expression whose selectors are asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SelectorError {
    /// The text is invalid.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The selector of a `match[]` matches every series.
    #[error("match[] must contain at least one non-empty matcher")]
    Everything,
    /// An expression has too many selectors.
    #[error("expression has more than {MAX_SELECTORS} selectors")]
    TooMany,
}

/// Parses a selector that must not select every series.
///
/// # Errors
/// [`SelectorError`] if the selector is invalid or matches every series.
pub fn parse(text: &str) -> Result<Vec<Matcher>, SelectorError> {
    let matchers = parse_selector(text.as_bytes())?;
    let match_everything = matchers.iter().all(Matcher::matches_empty);
    if match_everything { Err(SelectorError::Everything) } else { Ok(matchers) }
}

/// Returns the matchers of each selector of an expression, in order of appearance. Empty for an
/// expression of numbers and strings only.
///
/// # Errors
/// [`SelectorError`] if the expression is invalid, or has too many selectors.
pub fn of_expression(text: &str, features: Features) -> Result<Vec<Vec<Matcher>>, SelectorError> {
    let ast = parse_expression(text.as_bytes(), features)?;
    if ast.selectors().count() > MAX_SELECTORS {
        return Err(SelectorError::TooMany);
    }
    let matchers =
        ast.selectors().map(|selector| selector.matchers.iter().map(|m| m.matcher().clone()));
    Ok(matchers.map(Iterator::collect).collect())
}
