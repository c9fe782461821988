//! Compiled regular expression that matches whole values.
//!
//! Most expressions in use are lists of values, prefixes or substrings and do not need the regex
//! engine. All others are printed in the syntax of the engine and compiled, within limits:
//! [`PROGRAM_BYTES`] for the program, [`CACHE_BYTES`] per thread for the automaton that grows while
//! matching.

use super::error::MatcherError;
use super::glob::Glob;
use super::{re2, shape};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::print::Printer;
use regex_syntax::hir::{Hir, Look};
use std::sync::Arc;

/// Maximum size of a compiled expression, bytes.
pub(in crate::model) const PROGRAM_BYTES: usize = 10 << 20;
/// Maximum size of the lazily built automaton per thread, bytes.
pub(in crate::model) const CACHE_BYTES: usize = 1 << 20;
/// Maximum nesting of the printed expression: a group of the original becomes a few levels.
const NEST_LIMIT: usize = 3 * re2::limits::MAX_LEVELS;

/// Compiled expression; clones share it.
#[derive(Debug, Clone)]
pub(in crate::model) struct Pattern(Arc<MatchStrategy>);

#[derive(Debug)]
enum MatchStrategy {
    /// Exactly these values, sorted.
    Set(Vec<String>),
    Glob(Glob),
    Engine {
        /// Anchored at both ends. It matches bytes because the engine for strings rejects `\B` with
        /// ASCII word boundaries.
        regex: Regex,
        /// Common prefix of all matches; may be empty.
        prefix: String,
    },
}

impl Pattern {
    pub(in crate::model) fn new(pattern: &str) -> Result<Self, MatcherError> {
        let hir = shape::without_anchors(re2::parse(pattern)?);
        let strategy = if let Some(set) = shape::literal_set(&hir, pattern.len()) {
            MatchStrategy::Set(set)
        } else if let Some(glob) = shape::glob(&hir) {
            MatchStrategy::Glob(glob)
        } else {
            MatchStrategy::Engine { prefix: shape::prefix(&hir), regex: compile(hir)? }
        };
        Ok(Self(Arc::new(strategy)))
    }

    /// Returns the compiled form of `.*`.
    pub(in crate::model) fn any() -> Self {
        let glob = Glob { first: String::new(), rest: vec![(0, String::new())] };
        Self(Arc::new(MatchStrategy::Glob(glob)))
    }

    pub(in crate::model) fn matches(&self, value: &str) -> bool {
        match &*self.0 {
            MatchStrategy::Set(set) => contains(set, value),
            MatchStrategy::Glob(glob) => glob.matches(value),
            MatchStrategy::Engine { regex, prefix } => {
                (prefix.is_empty() || value.starts_with(prefix.as_str()))
                    && regex.is_match(value.as_bytes())
            }
        }
    }

    pub(super) fn literal_set(&self) -> Option<&[String]> {
        match &*self.0 {
            MatchStrategy::Set(set) => Some(set),
            MatchStrategy::Glob(_) | MatchStrategy::Engine { .. } => None,
        }
    }

    pub(super) fn prefix(&self) -> Option<&str> {
        let prefix = match &*self.0 {
            MatchStrategy::Set(_) => return None,
            MatchStrategy::Glob(glob) => &glob.first,
            MatchStrategy::Engine { prefix, .. } => prefix,
        };
        Some(prefix.as_str()).filter(|prefix| !prefix.is_empty())
    }

    pub(super) fn matches_every_nonempty(&self) -> bool {
        matches!(&*self.0, MatchStrategy::Glob(glob) if glob.matches_every_nonempty())
    }
}

/// Returns `true` if a sorted set contains the value. The empty string is never compared; see
/// `glob`.
fn contains(set: &[String], value: &str) -> bool {
    let has_empty = set.first().is_some_and(String::is_empty);
    if value.is_empty() {
        return has_empty;
    }
    set[usize::from(has_empty)..].binary_search_by(|member| member.as_str().cmp(value)).is_ok()
}

fn compile(hir: Hir) -> Result<Regex, MatcherError> {
    let too_deep = MatcherError::TooLarge { what: "levels", limit: NEST_LIMIT };
    let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let mut printed = String::new();
    Printer::new().print(&anchored, &mut printed).map_err(|_| too_deep.clone())?;
    drop(anchored);
    RegexBuilder::new(&printed)
        .size_limit(PROGRAM_BYTES)
        .dfa_size_limit(CACHE_BYTES)
        .nest_limit(NEST_LIMIT as u32)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                MatcherError::TooLarge { what: "bytes when compiled", limit }
            }
            // The printed form is valid, so only its depth can be rejected.
            _ => too_deep,
        })
}
