//! One open group of an expression: the alternatives that are complete and the one being read.

use regex_syntax::hir::Hir;

/// An element that a repetition operator can stand behind.
pub(super) struct Element {
    pub(super) hir: Hir,
    /// The largest product of nested counts within it; at least 1.
    pub(super) repeats: u32,
}

#[derive(Default)]
pub(super) struct GroupFrame {
    alternatives: Vec<Hir>,
    pieces: Vec<Element>,
    /// Literal text behind `pieces`, gathered so that a run of it is one element.
    run: String,
    repeats: u32,
}

impl GroupFrame {
    pub(super) fn push(&mut self, piece: Element) {
        self.flush();
        self.pieces.push(piece);
    }

    pub(super) fn push_char(&mut self, c: char) {
        self.run.push(c);
    }

    /// Takes the last element away: of literal text, the last character.
    pub(super) fn pop(&mut self) -> Option<Element> {
        match self.run.pop() {
            Some(c) => {
                self.flush();
                Some(Element { hir: literal(c.encode_utf8(&mut [0; 4])), repeats: 1 })
            }
            None => self.pieces.pop(),
        }
    }

    pub(super) fn end_alternative(&mut self) {
        self.flush();
        let repeats = self.pieces.iter().map(|piece| piece.repeats).max().unwrap_or(1);
        self.repeats = self.repeats.max(repeats);
        self.alternatives.push(Hir::concat(self.pieces.drain(..).map(|piece| piece.hir).collect()));
    }

    pub(super) fn finish(mut self) -> Element {
        self.end_alternative();
        Element { hir: Hir::alternation(self.alternatives), repeats: self.repeats }
    }

    fn flush(&mut self) {
        if !self.run.is_empty() {
            self.pieces.push(Element { hir: literal(&self.run), repeats: 1 });
            self.run.clear();
        }
    }
}

fn literal(text: &str) -> Hir {
    Hir::literal(text.as_bytes())
}
