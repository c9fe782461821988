//! Classification of an expression: list of values, literals with gaps, or neither.
//!
//! The analysis of the syntax tree is pure and has a budget, so `[0-9]{9}` is not expanded.

use super::glob::Glob;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Removes redundant anchors: an expression always matches whole values, so `^a$` is `a`.
pub(in crate::model) fn without_anchors(hir: Hir) -> Hir {
    strip(strip(hir, AnchorSide::Start), AnchorSide::End)
}

/// Returns the values that the expression matches, sorted, if there are few. `pattern_len` is the
/// length of the expression in bytes: an alternation of literals is always small enough.
pub(super) fn literal_set(hir: &Hir, pattern_len: usize) -> Option<Vec<String>> {
    let mut budget = SetBudget { strings: 1024 + pattern_len, bytes: (64 << 10) + 4 * pattern_len };
    let mut set = Vec::new();
    for literal in budget.set(hir)? {
        set.push(String::from_utf8(literal).ok()?);
    }
    set.sort_unstable();
    set.dedup();
    Some(set)
}

/// Returns the expression as literals with gaps, if it has that form.
pub(super) fn glob(hir: &Hir) -> Option<Glob> {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let mut glob = Glob { first: String::new(), rest: Vec::new() };
    // Current gap: its minimum length, and whether any part of it is unbounded.
    let mut gap: Option<(usize, bool)> = None;
    for part in parts {
        match part.kind() {
            HirKind::Literal(literal) => {
                let literal = std::str::from_utf8(&literal.0).ok()?;
                match gap.take() {
                    None => glob.first.push_str(literal),
                    Some((min, true)) => glob.rest.push((min, literal.to_owned())),
                    Some((_, false)) => return None,
                }
            }
            HirKind::Repetition(Repetition { min, max: None, sub, .. }) if is_any_char(sub) => {
                gap = Some((gap.map_or(0, |(before, _)| before) + *min as usize, true));
            }
            _ if is_any_char(part) => {
                gap = Some(gap.map_or((1, false), |(min, open)| (min + 1, open)))
            }
            _ => return None,
        }
    }
    match gap {
        Some((min, true)) => glob.rest.push((min, String::new())),
        Some((_, false)) => return None,
        None if glob.rest.is_empty() => return None,
        None => {}
    }
    Some(glob)
}

/// Returns the common prefix of all matching values; may be empty.
pub(super) fn prefix(hir: &Hir) -> String {
    let seq = Extractor::new().extract(hir);
    let common = seq.longest_common_prefix().unwrap_or_default();
    let valid = match std::str::from_utf8(common) {
        Ok(literal) => literal,
        Err(error) => std::str::from_utf8(&common[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.to_owned()
}

pub(in crate::model) fn is_any_char(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Class(Class::Unicode(class))
        if matches!(class.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX))
}

#[derive(Clone, Copy)]
enum AnchorSide {
    Start,
    End,
}

fn strip(hir: Hir, side: AnchorSide) -> Hir {
    match (hir.kind(), side) {
        (HirKind::Look(Look::Start | Look::StartLF), AnchorSide::Start)
        | (HirKind::Look(Look::End | Look::EndLF), AnchorSide::End) => Hir::empty(),
        (HirKind::Concat(_), _) => strip_concat(hir.into_kind(), side),
        (HirKind::Alternation(_), _) => match hir.into_kind() {
            HirKind::Alternation(parts) => {
                Hir::alternation(parts.into_iter().map(|part| strip(part, side)).collect())
            }
            _ => Hir::fail(),
        },
        _ => hir,
    }
}

fn strip_concat(concat: HirKind, side: AnchorSide) -> Hir {
    let HirKind::Concat(parts) = concat else {
        return Hir::fail();
    };
    let mut parts = std::collections::VecDeque::from(parts);
    loop {
        let outermost = match side {
            AnchorSide::Start => parts.pop_front(),
            AnchorSide::End => parts.pop_back(),
        };
        let Some(outermost) = outermost.map(|part| strip(part, side)) else {
            return Hir::empty();
        };
        if matches!(outermost.kind(), HirKind::Empty) {
            continue;
        }
        match side {
            AnchorSide::Start => parts.push_front(outermost),
            AnchorSide::End => parts.push_back(outermost),
        }
        return Hir::concat(parts.into());
    }
}

/// Remaining budget for the expansion of a set.
struct SetBudget {
    strings: usize,
    bytes: usize,
}

type Set = Vec<Vec<u8>>;

impl SetBudget {
    fn spend(&mut self, strings: usize, bytes: usize) -> Option<()> {
        self.strings = self.strings.checked_sub(strings)?;
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(())
    }

    fn set(&mut self, hir: &Hir) -> Option<Set> {
        match hir.kind() {
            HirKind::Empty => self.spend(1, 0).map(|()| vec![Vec::new()]),
            HirKind::Literal(literal) => {
                self.spend(1, literal.0.len()).map(|()| vec![literal.0.to_vec()])
            }
            HirKind::Class(Class::Unicode(class)) => {
                let count: usize =
                    class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
                self.spend(count, count)?;
                let chars = class.ranges().iter().flat_map(|range| range.start()..=range.end());
                Some(chars.map(|c| c.to_string().into_bytes()).collect())
            }
            // The tree represents "never matches" in this form.
            HirKind::Class(Class::Bytes(class)) if class.ranges().is_empty() => Some(Vec::new()),
            HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => None,
            HirKind::Capture(capture) => self.set(&capture.sub),
            HirKind::Concat(parts) => {
                let mut product = vec![Vec::new()];
                for part in parts {
                    let part = self.set(part)?;
                    product = self.cross(product, &part)?;
                }
                Some(product)
            }
            HirKind::Alternation(parts) => {
                let mut values = Vec::new();
                for part in parts {
                    values.append(&mut self.set(part)?);
                }
                Some(values)
            }
            HirKind::Repetition(repetition) => self.repeat(repetition),
        }
    }

    fn repeat(&mut self, repetition: &Repetition) -> Option<Set> {
        let max = repetition.max?;
        let once = self.set(&repetition.sub)?;
        let mut run = vec![Vec::new()];
        for _ in 0..repetition.min {
            run = self.cross(run, &once)?;
        }
        let mut values = run.clone();
        for _ in repetition.min..max {
            run = self.cross(run, &once)?;
            self.spend(run.len(), run.iter().map(Vec::len).sum())?;
            values.extend_from_slice(&run);
        }
        Some(values)
    }

    /// Returns all concatenations of an element of `left` and an element of `right`.
    fn cross(&mut self, mut left: Set, right: &Set) -> Option<Set> {
        if let [only] = right.as_slice() {
            self.spend(0, left.len() * only.len())?;
            for literal in &mut left {
                literal.extend_from_slice(only);
            }
            return Some(left);
        }
        let bytes = |set: &Set| set.iter().map(Vec::len).sum::<usize>();
        let cost = bytes(&left)
            .saturating_mul(right.len())
            .saturating_add(bytes(right).saturating_mul(left.len()));
        self.spend(left.len().saturating_mul(right.len()), cost)?;
        Some(
            left.iter()
                .flat_map(|start| right.iter().map(move |end| [start.as_slice(), end].concat()))
                .collect(),
        )
    }
}
