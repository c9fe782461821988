//! What an expression is at heart: a list of values, text with gaps, or something that needs an automaton.
//!
//! Pure analysis of the tree; bounded by a budget, so that `[0-9]{9}` is not written out.

use super::glob::Glob;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Takes away anchors that always hold, because an expression is matched against whole values anyway: `^a$` is `a`.
pub(super) fn without_anchors(hir: Hir) -> Hir {
    strip(strip(hir, AnchorSide::Start), AnchorSide::End)
}

/// The values that the expression matches, sorted, where they are few. `pattern_len` is the expression's length in
/// bytes: an alternation of literals always fits.
pub(super) fn literal_set(hir: &Hir, pattern_len: usize) -> Option<Vec<String>> {
    let mut budget = SetBudget { strings: 1024 + pattern_len, bytes: (64 << 10) + 4 * pattern_len };
    let mut set = Vec::new();
    for text in budget.set(hir)? {
        set.push(String::from_utf8(text).ok()?);
    }
    set.sort_unstable();
    set.dedup();
    Some(set)
}

/// The expression as text with gaps, if it is that.
pub(super) fn glob(hir: &Hir) -> Option<Glob> {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let mut glob = Glob { first: String::new(), rest: Vec::new() };
    // The gap being read: its least length, and whether anything in it has no upper end.
    let mut gap: Option<(usize, bool)> = None;
    for part in parts {
        match part.kind() {
            HirKind::Literal(text) => {
                let text = std::str::from_utf8(&text.0).ok()?;
                match gap.take() {
                    None => glob.first.push_str(text),
                    Some((min, true)) => glob.rest.push((min, text.to_owned())),
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

/// What all matching values begin with; may be empty.
pub(super) fn prefix(hir: &Hir) -> String {
    let seq = Extractor::new().extract(hir);
    let common = seq.longest_common_prefix().unwrap_or_default();
    let valid = match std::str::from_utf8(common) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&common[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.to_owned()
}

fn is_any_char(hir: &Hir) -> bool {
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

/// What may still be spent on writing out a set.
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
            HirKind::Literal(text) => self.spend(1, text.0.len()).map(|()| vec![text.0.to_vec()]),
            HirKind::Class(Class::Unicode(class)) => {
                let count: usize =
                    class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
                self.spend(count, count)?;
                let chars = class.ranges().iter().flat_map(|range| range.start()..=range.end());
                Some(chars.map(|c| c.to_string().into_bytes()).collect())
            }
            // The tree's form of what never matches.
            HirKind::Class(Class::Bytes(class)) if class.ranges().is_empty() => Some(Vec::new()),
            HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => None,
            HirKind::Capture(capture) => self.set(&capture.sub),
            HirKind::Concat(parts) => {
                let mut whole = vec![Vec::new()];
                for part in parts {
                    let part = self.set(part)?;
                    whole = self.cross(whole, &part)?;
                }
                Some(whole)
            }
            HirKind::Alternation(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.append(&mut self.set(part)?);
                }
                Some(all)
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
        let mut all = run.clone();
        for _ in repetition.min..max {
            run = self.cross(run, &once)?;
            self.spend(run.len(), run.iter().map(Vec::len).sum())?;
            all.extend_from_slice(&run);
        }
        Some(all)
    }

    /// Every text of `left` followed by every text of `right`.
    fn cross(&mut self, mut left: Set, right: &Set) -> Option<Set> {
        if let [only] = right.as_slice() {
            self.spend(0, left.len() * only.len())?;
            for text in &mut left {
                text.extend_from_slice(only);
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
