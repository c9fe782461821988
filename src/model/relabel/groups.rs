//! Compiled expression of a rule, with the groups that its templates read.
//!
//! Most values do not match, and most rules have simple expressions. So the strategies of matchers
//! ([`Pattern`]) compare a value first, and groups are searched only after a match. The groups of
//! `(.*)` and of `prefix(.+)suffix` are cut out of the value. All others need an engine that is
//! compiled for them, within limits.

use crate::model::label_editor::span::Span;
use crate::model::matcher::error::MatcherError;
use crate::model::matcher::pattern::{CACHE_BYTES, PROGRAM_BYTES, Pattern};
use crate::model::matcher::{re2, shape};
use regex_automata::meta;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, HirKind, Look};
use smallvec::SmallVec;

/// Maximum number of groups that a rule reads.
pub(super) const MAX_GROUPS: usize = 256;
/// Maximum size of the table that an engine may need, about 2/3 of program × groups, bytes.
const SEARCH_BYTES: usize = 64 << 20;

/// Reference to a group of the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GroupName {
    /// By number; 0 is the whole match.
    Number(u32),
    /// By name; of groups with equal names, the first that matched.
    Name(String),
}

/// Expression of a rule.
#[derive(Debug)]
pub(super) struct GroupRegex {
    pattern: Pattern,
    search: GroupSearch,
    /// Number and name of the groups that are captures 1, 2, ….
    captures: Vec<(u32, Option<String>)>,
}

#[derive(Debug)]
enum GroupSearch {
    /// No group is read.
    None,
    /// The group is everything except a number of bytes at the start and at the end.
    Middle {
        start: usize,
        end: usize,
    },
    Engine(meta::Regex),
}

/// Positions of the captures in a value that matched.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Start and end of each capture; capture 0 is the whole value.
    slots: SmallVec<[Option<NonMaxUsize>; 16]>,
}

impl Groups {
    /// Returns the part of `value` that the first of these captures matched.
    pub(super) fn first(&self, captures: &[usize], value: Span) -> Option<Span> {
        captures.iter().find_map(|capture| {
            if *capture == 0 {
                return Some(value);
            }
            let start = (*self.slots.get(2 * capture)?)?;
            let end = (*self.slots.get(2 * capture + 1)?)?;
            Some(value.part(start.get(), end.get()))
        })
    }
}

impl GroupRegex {
    /// Compiles an expression. `names` are the groups to read, at most [`MAX_GROUPS`] matter.
    pub(super) fn new(pattern: &str, names: &[&GroupName]) -> Result<Self, MatcherError> {
        let compiled = Pattern::new(pattern)?;
        let mut captures = Vec::new();
        if names.is_empty() {
            return Ok(Self { pattern: compiled, search: GroupSearch::None, captures });
        }
        let mut select = |number: u32, name: Option<&str>| {
            let is_read = names.iter().any(|wanted| match wanted {
                GroupName::Number(wanted) => *wanted == number,
                GroupName::Name(wanted) => Some(wanted.as_str()) == name,
            });
            let is_read = is_read && captures.len() < MAX_GROUPS;
            if is_read {
                captures.push((number, name.map(str::to_owned)));
            }
            is_read
        };
        let hir = re2::parse_with_groups(pattern, &mut select)?;
        let search = if captures.is_empty() {
            GroupSearch::None
        } else if let Some(middle) = middle(&hir) {
            middle
        } else {
            GroupSearch::Engine(compile(hir, captures.len())?)
        };
        Ok(Self { pattern: compiled, search, captures })
    }

    /// Returns the compiled form of `(.*)`.
    pub(super) fn whole_value() -> Self {
        let search = GroupSearch::Middle { start: 0, end: 0 };
        Self { pattern: Pattern::any(), search, captures: vec![(1, None)] }
    }

    /// Returns the captures of a group; several if groups have equal names.
    pub(super) fn captures_of(&self, name: &GroupName) -> Vec<usize> {
        if *name == GroupName::Number(0) {
            return vec![0];
        }
        let matching = self.captures.iter().zip(1..).filter(|((number, group), _)| match name {
            GroupName::Number(wanted) => wanted == number,
            GroupName::Name(wanted) => Some(wanted) == group.as_ref(),
        });
        matching.map(|(_, capture)| capture).collect()
    }

    /// Returns `true` if the whole value matches.
    pub(super) fn matches(&self, value: &str) -> bool {
        self.pattern.matches(value)
    }

    /// Returns the groups of a value, or `None` if it does not match.
    pub(super) fn groups(&self, value: &str) -> Option<Groups> {
        if !self.pattern.matches(value) {
            return None;
        }
        let mut groups = Groups::default();
        match &self.search {
            GroupSearch::None => {}
            GroupSearch::Middle { start, end } => {
                let middle = (*start, value.len().saturating_sub(*end).max(*start));
                groups.slots.extend([None, None]);
                groups.slots.extend([middle.0, middle.1].map(NonMaxUsize::new));
            }
            GroupSearch::Engine(regex) => {
                groups.slots.resize(2 * regex.captures_len(), None);
                let input = Input::new(value).anchored(Anchored::Yes);
                regex.search_slots(&input, &mut groups.slots)?;
            }
        }
        Some(groups)
    }
}

/// Returns how to cut out the only group, if the expression is literal text around `(.*)`, `(.+)`
/// or a similar group.
fn middle(hir: &Hir) -> Option<GroupSearch> {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let literal_len = |part: &Hir| match part.kind() {
        HirKind::Literal(literal) => Some(literal.0.len()),
        _ => None,
    };
    let (start, group, end) = match parts {
        [group] => (0, group, 0),
        [before, group] if literal_len(before).is_some() => (literal_len(before)?, group, 0),
        [group, after] => (0, group, literal_len(after)?),
        [before, group, after] => (literal_len(before)?, group, literal_len(after)?),
        _ => return None,
    };
    let HirKind::Capture(capture) = group.kind() else { return None };
    let HirKind::Repetition(repetition) = capture.sub.kind() else { return None };
    let is_gap = repetition.max.is_none() && shape::is_any_char(&repetition.sub);
    is_gap.then_some(GroupSearch::Middle { start, end })
}

fn compile(hir: Hir, captures: usize) -> Result<meta::Regex, MatcherError> {
    let limit = PROGRAM_BYTES.min(SEARCH_BYTES / (captures + 1));
    let too_large = MatcherError::TooLarge { what: "bytes when compiled", limit };
    let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let config = meta::Config::new()
        // The search is anchored, so empty matches within a character cannot occur.
        .utf8_empty(false)
        .nfa_size_limit(Some(limit))
        .onepass_size_limit(Some(CACHE_BYTES))
        .hybrid_cache_capacity(CACHE_BYTES);
    // Any tree that the parser creates is valid, so only its size can be rejected.
    meta::Builder::new().configure(config).build_from_hir(&anchored).map_err(|_| too_large)
}
