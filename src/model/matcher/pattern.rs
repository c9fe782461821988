//! A compiled regular expression, matched against whole values.
//!
//! Most expressions in use are lists of values, prefixes or substrings; those never see the regex engine. For the rest
//! the tree is printed in the engine's own syntax and compiled, within limits: the engine's program is at most
//! [`PROGRAM_BYTES`], the automaton that it builds while matching at most [`CACHE_BYTES`] per thread.

use super::error::MatcherError;
use super::glob::Glob;
use super::{re2, shape};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::print::Printer;
use regex_syntax::hir::{Hir, Look};
use std::sync::Arc;

/// The most that a compiled expression may take.
const PROGRAM_BYTES: usize = 10 << 20;
/// The most that matching may keep, per thread.
const CACHE_BYTES: usize = 1 << 20;
/// Levels of the printed expression: each group of the original makes a few of them.
const NEST_LIMIT: usize = 8 * re2::limits::MAX_DEPTH;

/// A compiled expression; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Arc<MatchStrategy>);

#[derive(Debug)]
enum MatchStrategy {
    /// Exactly these values, sorted.
    Set(Vec<String>),
    Glob(Glob),
    Engine {
        /// Anchored at both ends. Over bytes because the engine for text refuses `\B` of ASCII words.
        regex: Regex,
        /// What all matches begin with.
        prefix: String,
    },
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, MatcherError> {
        let hir = shape::without_anchors(re2::parse(pattern)?);
        let plan = if let Some(set) = shape::literal_set(&hir, pattern.len()) {
            MatchStrategy::Set(set)
        } else if let Some(glob) = shape::glob(&hir) {
            MatchStrategy::Glob(glob)
        } else {
            MatchStrategy::Engine { prefix: shape::prefix(&hir), regex: compile(hir)? }
        };
        Ok(Self(Arc::new(plan)))
    }

    pub(super) fn matches(&self, value: &str) -> bool {
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

    pub(super) fn names_every_value(&self) -> bool {
        matches!(&*self.0, MatchStrategy::Glob(glob) if glob.names_every_value())
    }
}

/// Whether a sorted set has the value. The empty one is never compared with; `glob` says why.
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
            // The printed form of a tree is valid, so only its depth can be refused.
            _ => too_deep,
        })
}
