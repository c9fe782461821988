//! Character classes: `[…]`, `\d`, `[:alpha:]`, `\p{…}`, and case folding for `(?i)`.

use super::escape;
use super::input::Input;
use super::limits::Budget;
use super::unicode;
use crate::model::matcher::error::{MatcherError, SyntaxError};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange};

/// First and last code point that has another case.
const FOLDABLE: (u32, u32) = (0x41, 0x1e943);

/// Cost of the lookup of a named class, in ranges.
const NAMED_CLASS_COST: usize = 16;

/// Parses a class from its `[`.
pub(super) fn parse_bracket_class(
    input: &mut Input<'_>,
    fold: bool,
    budget: &mut Budget,
) -> Result<Class, MatcherError> {
    let start = input.clone();
    input.skip(1);
    let negated = input.eat("^");
    let mut class = ClassBuilder { fold, budget, foldable: Vec::new(), verbatim: Vec::new() };
    let mut first = true;
    while first || !input.eat("]") {
        first = false;
        if input.peek().is_none() {
            return Err(start.error_of_rest(SyntaxError::MissingBracket));
        }
        if class.named(input)? || class.parse_escape_class(input)? {
            continue;
        }
        let item = input.clone();
        let low = member(input, &start)?;
        let mut high = low;
        if input.rest().starts_with('-') && !matches!(input.rest().as_bytes(), [_] | [_, b']', ..])
        {
            input.skip(1);
            high = member(input, &start)?;
            if high < low {
                return Err(item.error_to(input, SyntaxError::CharRange));
            }
        }
        class.add(low, high)?;
    }
    let mut class = class.build();
    if negated {
        class.negate();
    }
    Ok(Class::Unicode(class))
}

/// Parses `\d`, `\pN` and similar. Returns `None`, and reads nothing, at any other escape.
pub(super) fn parse_escape_class(
    input: &mut Input<'_>,
    fold: bool,
    budget: &mut Budget,
) -> Result<Option<Class>, MatcherError> {
    let mut class = ClassBuilder { fold, budget, foldable: Vec::new(), verbatim: Vec::new() };
    Ok(if class.parse_escape_class(input)? { Some(Class::Unicode(class.build())) } else { None })
}

/// Returns the class of a character in all its cases.
pub(super) fn folded_char(c: char, budget: &mut Budget) -> Result<Class, MatcherError> {
    let mut class = ClassBuilder { fold: true, budget, foldable: Vec::new(), verbatim: Vec::new() };
    class.add(u32::from(c), u32::from(c))?;
    Ok(Class::Unicode(class.build()))
}

fn member(input: &mut Input<'_>, class: &Input<'_>) -> Result<u32, MatcherError> {
    match input.peek() {
        None => Err(class.error_of_rest(SyntaxError::MissingBracket)),
        Some('\\') => escape::rune(input),
        Some(c) => {
            input.bump();
            Ok(u32::from(c))
        }
    }
}

struct ClassBuilder<'b> {
    fold: bool,
    budget: &'b mut Budget,
    /// Ranges whose other cases also belong to the class.
    foldable: Vec<ClassUnicodeRange>,
    verbatim: Vec<ClassUnicodeRange>,
}

impl ClassBuilder<'_> {
    /// Parses `[:alpha:]` or `[:^alpha:]`. A `[:` without `:]` is literal.
    fn named(&mut self, input: &mut Input<'_>) -> Result<bool, MatcherError> {
        let Some(len) = input.rest().strip_prefix("[:").and_then(|rest| rest.find(":]")) else {
            return Ok(false);
        };
        let start = input.clone();
        let name = &input.rest()[2..2 + len];
        input.skip(len + 4);
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let Some((_, ranges)) = POSIX.iter().find(|(candidate, _)| *candidate == name) else {
            return Err(start.error_to(input, SyntaxError::CharRange));
        };
        self.add_group(ascii(ranges), negated)?;
        Ok(true)
    }

    /// Parses `\d \s \w \pN \p{…}` and their negations.
    fn parse_escape_class(&mut self, input: &mut Input<'_>) -> Result<bool, MatcherError> {
        let [b'\\', letter, ..] = input.rest().as_bytes() else {
            return Ok(false);
        };
        let ranges = match letter {
            b'd' | b'D' => DIGIT,
            b's' | b'S' => SPACE,
            b'w' | b'W' => WORD,
            b'p' | b'P' => {
                let negated = *letter == b'P';
                self.budget.ranges(NAMED_CLASS_COST)?;
                let (class, inverted) = unicode::class(input)?;
                self.add_group(class, negated != inverted)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let negated = letter.is_ascii_uppercase();
        input.skip(2);
        self.add_group(ascii(ranges), negated)?;
        Ok(true)
    }

    /// Adds a set of characters. With `(?i)`, a negated set has the characters without any case in
    /// the set.
    fn add_group(&mut self, mut group: ClassUnicode, negated: bool) -> Result<(), MatcherError> {
        if negated {
            if self.fold {
                let mut inner = ClassBuilder {
                    fold: true,
                    budget: self.budget,
                    foldable: Vec::new(),
                    verbatim: Vec::new(),
                };
                inner.add_group(group, false)?;
                group = inner.build();
            }
            group.negate();
            self.budget.ranges(group.ranges().len())?;
            self.verbatim.extend_from_slice(group.ranges());
            return Ok(());
        }
        for range in group.ranges() {
            self.add(u32::from(range.start()), u32::from(range.end()))?;
        }
        Ok(())
    }

    fn add(&mut self, low: u32, high: u32) -> Result<(), MatcherError> {
        self.budget.ranges(1)?;
        let (first, last) = FOLDABLE;
        let covers_all = low <= first && high >= last;
        if !self.fold || covers_all || high < first || low > last {
            push(&mut self.verbatim, low, high);
            return Ok(());
        }
        if low < first {
            push(&mut self.verbatim, low, first - 1);
        }
        if high > last {
            push(&mut self.verbatim, last + 1, high);
        }
        let (low, high) = (low.max(first), high.min(last));
        self.budget.folds((high - low) as usize + 1)?;
        push(&mut self.foldable, low, high);
        Ok(())
    }

    fn build(self) -> ClassUnicode {
        let mut class = ClassUnicode::new(self.foldable);
        class.case_fold_simple();
        class.union(&ClassUnicode::new(self.verbatim));
        // No character is between these two, but the crate sees a gap, which it would negate.
        let (below, above) = ('\u{d7ff}', '\u{e000}');
        if class.ranges().windows(2).any(|pair| pair[0].end() == below && pair[1].start() == above)
        {
            class.push(ClassUnicodeRange::new(below, above));
        }
        class
    }
}

/// Adds a range. A surrogate at either end is replaced by the nearest character inside the range.
fn push(ranges: &mut Vec<ClassUnicodeRange>, low: u32, high: u32) {
    let low = char::from_u32(low).unwrap_or('\u{e000}');
    let high = char::from_u32(high).unwrap_or('\u{d7ff}');
    if low <= high {
        ranges.push(ClassUnicodeRange::new(low, high));
    }
}

fn ascii(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)))
}

type CharRanges = &'static [(char, char)];

const DIGIT: CharRanges = &[('0', '9')];
const SPACE: CharRanges = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: CharRanges = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const POSIX: &[(&str, CharRanges)] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];
