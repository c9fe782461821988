//! Repetition operators: `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`.

use super::frame::Element;
use super::input::Input;
use super::limits::MAX_REPEAT;
use crate::model::matcher::error::{MatcherError, SyntaxError};
use regex_syntax::hir::{Hir, HirKind, Repetition};

/// Bounds of a repetition.
pub(super) struct RepeatCount {
    min: u32,
    max: Option<u32>,
    /// Whether the operator has braces: only such counts multiply.
    braces: bool,
}

impl RepeatCount {
    /// Reads an operator. Returns `None`, and reads nothing, at a literal `{`.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Option<Self>, MatcherError> {
        let start = input.clone();
        let (min, max) = match input.bump() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            _ => {
                let Some((min, max)) = read_braces(input) else {
                    *input = start;
                    return Ok(None);
                };
                if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
                    return Err(start.error_to(input, SyntaxError::RepeatSize));
                }
                return Ok(Some(Self { min, max, braces: true }));
            }
        };
        Ok(Some(Self { min, max, braces: false }))
    }

    /// Repeats the element. Returns `None` if the product of nested counts exceeds [`MAX_REPEAT`].
    ///
    /// Without `greed`, groups are not read, and the result can be printed.
    pub(super) fn repeat(&self, element: Element, greed: Option<bool>) -> Option<Element> {
        let repeats = match (self.braces, self.max) {
            (false, _) => element.repeats,
            // Zero repetitions cost nothing.
            (true, Some(0)) => 1,
            (true, max) => max.unwrap_or(self.min).max(1).saturating_mul(element.repeats),
        };
        if repeats > MAX_REPEAT {
            return None;
        }
        let levels = element.levels + 1;
        if let Some(greedy) = greed {
            let (min, max, sub) = (self.min, self.max, Box::new(element.hir));
            let hir = Hir::repetition(Repetition { min, max, greedy, sub });
            return Some(Element { hir, repeats, levels });
        }
        let hir = match (element.hir.kind(), self.min, self.max) {
            // The printer of `regex-syntax` would print `(a+)?` as the lazy `a+?`, which matches
            // other values.
            (HirKind::Repetition(inner), 0, Some(1)) if inner.min == 0 => element.hir,
            (HirKind::Repetition(_), 0, Some(1)) => {
                Hir::alternation(vec![element.hir, Hir::empty()])
            }
            (_, min, max) => {
                Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(element.hir) })
            }
        };
        Some(Element { hir, repeats, levels })
    }
}

/// Reads `{n}`, `{n,}` or `{n,m}`; numbers have no leading zeros. Anything else is not an operator.
fn read_braces(input: &mut Input<'_>) -> Option<(u32, Option<u32>)> {
    let min = input.number()?;
    let max = if !input.eat(",") {
        Some(min)
    } else if input.peek() == Some('}') {
        None
    } else {
        Some(input.number()?)
    };
    input.eat("}").then_some((min, max))
}
