//! Repetition operators: `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`.

use super::frame::Element;
use super::input::Input;
use super::limits::MAX_REPEAT;
use crate::model::matcher::error::{MatcherError, SyntaxError};
use regex_syntax::hir::{Hir, HirKind, Repetition};

/// How often something is repeated.
pub(super) struct RepeatCount {
    min: u32,
    max: Option<u32>,
    /// Whether it was written with braces: only such counts multiply.
    braces: bool,
}

impl RepeatCount {
    /// Reads an operator; `None`, with nothing read, for a `{` that is literal text.
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
                    return Err(start.error(SyntaxError::RepeatSize));
                }
                return Ok(Some(Self { min, max, braces: true }));
            }
        };
        Ok(Some(Self { min, max, braces: false }))
    }

    /// The element repeated; `None` where the counts within each other come to more than [`MAX_REPEAT`].
    pub(super) fn repeat(&self, piece: Element) -> Option<Element> {
        let repeats = match (self.braces, self.max) {
            (false, _) => piece.repeats,
            // What is repeated no times costs nothing.
            (true, Some(0)) => 1,
            (true, max) => max.unwrap_or(self.min).max(1).saturating_mul(piece.repeats),
        };
        if repeats > MAX_REPEAT {
            return None;
        }
        let hir = match (piece.hir.kind(), self.min, self.max) {
            // The printer of `regex-syntax` would write `(a+)?` as the lazy `a+?`, which is another language.
            (HirKind::Repetition(inner), 0, Some(1)) if inner.min == 0 => piece.hir,
            (HirKind::Repetition(_), 0, Some(1)) => Hir::alternation(vec![piece.hir, Hir::empty()]),
            (_, min, max) => {
                Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(piece.hir) })
            }
        };
        Some(Element { hir, repeats })
    }
}

/// Numbers have no leading zeros; what does not look like this is no operator.
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
