//! Character classes: `[…]`, `\d`, `[:alpha:]`, `\p{…}`, and the other cases of characters under `(?i)`.

use super::escape;
use super::input::Input;
use super::limits::Budget;
use super::unicode;
use crate::model::matcher::error::{MatcherError, SyntaxError};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange};

/// The first and the last character that has another case.
const FOLDABLE: (u32, u32) = (0x41, 0x1e943);

/// What looking up a class by its name counts for, in ranges.
const NAMED_CLASS_COST: usize = 16;

/// Reads a class from its `[` on.
pub(super) fn parse_bracket_class(
    input: &mut Input<'_>,
    fold: bool,
    budget: &mut Budget,
) -> Result<Class, MatcherError> {
    let start = input.clone();
    input.skip(1);
    let negated = input.eat("^");
    let mut class = ClassBuilder { fold, budget, plain: Vec::new(), settled: Vec::new() };
    let mut first = true;
    while first || !input.eat("]") {
        first = false;
        if input.peek().is_none() {
            return Err(start.error(SyntaxError::MissingBracket));
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
                return Err(item.error(SyntaxError::CharRange));
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

/// Reads `\d`, `\pN` and their like; `None`, with nothing read, where another escape stands.
pub(super) fn parse_escape_class(
    input: &mut Input<'_>,
    fold: bool,
    budget: &mut Budget,
) -> Result<Option<Class>, MatcherError> {
    let mut class = ClassBuilder { fold, budget, plain: Vec::new(), settled: Vec::new() };
    Ok(if class.parse_escape_class(input)? { Some(Class::Unicode(class.build())) } else { None })
}

/// A character in all its cases.
pub(super) fn folded_char(c: char, budget: &mut Budget) -> Result<Class, MatcherError> {
    let mut class = ClassBuilder { fold: true, budget, plain: Vec::new(), settled: Vec::new() };
    class.add(u32::from(c), u32::from(c))?;
    Ok(Class::Unicode(class.build()))
}

fn member(input: &mut Input<'_>, class: &Input<'_>) -> Result<u32, MatcherError> {
    match input.peek() {
        None => Err(class.error(SyntaxError::MissingBracket)),
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
    /// Whose other cases belong to the class too.
    plain: Vec<ClassUnicodeRange>,
    settled: Vec<ClassUnicodeRange>,
}

impl ClassBuilder<'_> {
    /// `[:alpha:]`, `[:^alpha:]`. A `[:` without `:]` behind it is literal text.
    fn named(&mut self, input: &mut Input<'_>) -> Result<bool, MatcherError> {
        let Some(len) = input.rest().strip_prefix("[:").and_then(|rest| rest.find(":]")) else {
            return Ok(false);
        };
        let name = &input.rest()[2..2 + len];
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let Some((_, ranges)) = POSIX.iter().find(|(candidate, _)| *candidate == name) else {
            return Err(input.error(SyntaxError::CharRange));
        };
        input.skip(len + 4);
        self.add_group(ascii(ranges), negated)?;
        Ok(true)
    }

    /// `\d \s \w \pN \p{…}` and their negations.
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

    /// Adds a set of characters; under `(?i)` a negated set is what has none of its cases in the set.
    fn add_group(&mut self, mut group: ClassUnicode, negated: bool) -> Result<(), MatcherError> {
        if negated {
            if self.fold {
                let mut inner = ClassBuilder {
                    fold: true,
                    budget: self.budget,
                    plain: Vec::new(),
                    settled: Vec::new(),
                };
                inner.add_group(group, false)?;
                group = inner.build();
            }
            group.negate();
            self.budget.ranges(group.ranges().len())?;
            self.settled.extend_from_slice(group.ranges());
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
        let whole = low <= first && high >= last;
        if !self.fold || whole || high < first || low > last {
            push(&mut self.settled, low, high);
            return Ok(());
        }
        if low < first {
            push(&mut self.settled, low, first - 1);
        }
        if high > last {
            push(&mut self.settled, last + 1, high);
        }
        let (low, high) = (low.max(first), high.min(last));
        self.budget.folds((high - low) as usize + 1)?;
        push(&mut self.plain, low, high);
        Ok(())
    }

    fn build(self) -> ClassUnicode {
        let mut class = ClassUnicode::new(self.plain);
        class.case_fold_simple();
        class.union(&ClassUnicode::new(self.settled));
        // Nothing stands between these two, but the crate sees a gap there, and would negate it.
        let (below, above) = ('\u{d7ff}', '\u{e000}');
        if class.ranges().windows(2).any(|pair| pair[0].end() == below && pair[1].start() == above)
        {
            class.push(ClassUnicodeRange::new(below, above));
        }
        class
    }
}

/// Adds a range. Surrogates are no characters: one at an end gives way to the next character inward.
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
