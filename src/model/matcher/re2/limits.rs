//! Limits on the cost of an expression, checked before the cost arises.
//!
//! Alternations of thousands of literals, as dashboards create them, stay far below.

use crate::model::matcher::error::MatcherError;

/// Maximum length of an expression, bytes.
pub(in crate::model::matcher) const MAX_PATTERN: usize = 1 << 20;
/// Maximum nesting of groups; the limit of RE2.
pub(super) const MAX_DEPTH: usize = 999;
/// Maximum height of the tree of an expression, in which a group of one element is no level.
pub(in crate::model::matcher) const MAX_LEVELS: usize = 750;
/// Maximum count of a repetition, and maximum product of nested counts; the limit of RE2.
pub(super) const MAX_REPEAT: u32 = 1000;
/// Maximum number of elements; a run of literal characters is one.
const MAX_NODES: usize = 100_000;
/// Maximum number of ranges in all character classes. `\pL` has about 660.
const MAX_RANGES: usize = 65_536;
/// Maximum number of characters to case-fold for `(?i)`. All cased characters of Unicode are among
/// the first 125,000.
const MAX_FOLDS: usize = 4_000_000;

pub(super) fn check_length(pattern: &str) -> Result<(), MatcherError> {
    if pattern.len() > MAX_PATTERN {
        return Err(MatcherError::TooLarge { what: "bytes", limit: MAX_PATTERN });
    }
    Ok(())
}

pub(super) fn check_levels(levels: usize) -> Result<(), MatcherError> {
    if levels > MAX_LEVELS {
        return Err(MatcherError::TooLarge { what: "levels", limit: MAX_LEVELS });
    }
    Ok(())
}

/// Accumulated cost of an expression.
#[derive(Default)]
pub(super) struct Budget {
    nodes: usize,
    ranges: usize,
    folds: usize,
}

impl Budget {
    pub(super) fn node(&mut self) -> Result<(), MatcherError> {
        spend(&mut self.nodes, 1, MAX_NODES, "elements")
    }

    pub(super) fn ranges(&mut self, count: usize) -> Result<(), MatcherError> {
        spend(&mut self.ranges, count, MAX_RANGES, "character ranges")
    }

    pub(super) fn folds(&mut self, chars: usize) -> Result<(), MatcherError> {
        spend(&mut self.folds, chars, MAX_FOLDS, "characters of any case")
    }
}

fn spend(
    spent: &mut usize,
    count: usize,
    limit: usize,
    what: &'static str,
) -> Result<(), MatcherError> {
    *spent = spent.saturating_add(count);
    if *spent > limit { Err(MatcherError::TooLarge { what, limit }) } else { Ok(()) }
}
