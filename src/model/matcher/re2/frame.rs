//! Open group of an expression: complete alternatives and the current one.

use regex_syntax::hir::{Capture, Hir};

/// Element to which a repetition operator can apply.
pub(super) struct Element {
    pub(super) hir: Hir,
    /// Maximum product of nested counts inside the element; at least 1.
    pub(super) repeats: u32,
    /// Height of the tree of the element; at least 1.
    pub(super) levels: usize,
}

#[derive(Default)]
pub(super) struct GroupFrame {
    alternatives: Vec<Hir>,
    elements: Vec<Element>,
    /// Literal characters after `elements`, collected into one element.
    run: String,
    repeats: u32,
    levels: usize,
    /// Number of the capture that the group is, if any.
    capture: Option<u32>,
}

impl GroupFrame {
    pub(super) fn new(capture: Option<u32>) -> Self {
        Self { capture, ..Self::default() }
    }

    pub(super) fn push(&mut self, element: Element) {
        self.flush();
        self.elements.push(element);
    }

    pub(super) fn push_char(&mut self, c: char) {
        self.run.push(c);
    }

    /// Removes and returns the last element, which is the last character of a literal run.
    pub(super) fn pop(&mut self) -> Option<Element> {
        match self.run.pop() {
            Some(c) => {
                self.flush();
                Some(Element { hir: literal(c.encode_utf8(&mut [0; 4])), repeats: 1, levels: 1 })
            }
            None => self.elements.pop(),
        }
    }

    pub(super) fn end_alternative(&mut self) {
        self.flush();
        let repeats = self.elements.iter().map(|element| element.repeats).max().unwrap_or(1);
        self.repeats = self.repeats.max(repeats);
        let levels = self.elements.iter().map(|element| element.levels).max().unwrap_or(1);
        self.levels = self.levels.max(levels + usize::from(self.elements.len() > 1));
        self.alternatives
            .push(Hir::concat(self.elements.drain(..).map(|element| element.hir).collect()));
    }

    pub(super) fn finish(mut self) -> Element {
        self.end_alternative();
        let levels = self.levels
            + usize::from(self.alternatives.len() > 1)
            + usize::from(self.capture.is_some());
        let mut hir = Hir::alternation(self.alternatives);
        if let Some(index) = self.capture {
            hir = Hir::capture(Capture { index, name: None, sub: Box::new(hir) });
        }
        Element { hir, repeats: self.repeats, levels }
    }

    fn flush(&mut self) {
        if !self.run.is_empty() {
            self.elements.push(Element { hir: literal(&self.run), repeats: 1, levels: 1 });
            self.run.clear();
        }
    }
}

fn literal(string: &str) -> Hir {
    Hir::literal(string.as_bytes())
}
