//! What an expression may cost, so that a hostile one is refused before it is paid for.
//!
//! Alternations of thousands of literal values, as dashboards make them, stay far below.

use crate::model::matcher::error::MatcherError;

/// Length of an expression, in bytes.
pub(in crate::model::matcher) const MAX_PATTERN: usize = 1 << 20;
/// Groups within groups.
pub(in crate::model::matcher) const MAX_DEPTH: usize = 250;
/// The largest count of a repetition, and the largest product of nested counts; RE2's own limit.
pub(super) const MAX_REPEAT: u32 = 1000;
/// Elements of an expression; a run of literal text is one.
const MAX_NODES: usize = 100_000;
/// Ranges of all character classes together. `\pL` has about 660.
const MAX_RANGES: usize = 65_536;
/// Characters whose other cases are looked up for `(?i)`. All of Unicode's cased characters lie among 125,000.
const MAX_FOLDS: usize = 4_000_000;

pub(super) fn check_length(pattern: &str) -> Result<(), MatcherError> {
    if pattern.len() > MAX_PATTERN {
        return Err(MatcherError::TooLarge { what: "bytes", limit: MAX_PATTERN });
    }
    Ok(())
}

/// What an expression has cost so far.
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
