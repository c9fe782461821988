//! Parser for the syntax of Go's `regexp` (RE2); produces the tree of the `regex-syntax` crate.
//!
//! The syntaxes of Go and Rust look alike but differ in what they accept and mean. So this parser
//! reads Go's syntax (flags `Perl | DotNL`, as Prometheus does for matchers) and builds trees from
//! elements with the same meaning in both engines. `tests/golden/regex/re2.jsonl` checks each
//! difference against Go:
//!
//! | in the expression | Rust's parser | Go, and this parser |
//! |---|---|---|
//! | `.` | not `\n` | any character; not `\n` after `(?-s)` |
//! | `\d \w \s \b \B` | Unicode | ASCII; `\s` without `\v`; with `(?i)` `\w` has `ſ K` |
//! | `[[:word:]]`, … | ASCII | the same; `(?i)` folds before a negation |
//! | `[a&&b]`, `[a--b]`, `[a~~b]`, `[a[b]]` | set operations, nested classes | literal |
//! | `\Q…\E` | an error | literal, to the end if there is no `\E` |
//! | `\C`, `\Z`, `\R`, `\X`, `\1`, `\<` | partly accepted | errors, but `\<` etc. are literal |
//! | `\123`, `\0` | an error | octal |
//! | `\u0041`, `\U…`, `\x{41}` | all accepted | only `\x41` and `\x{…}` |
//! | `\b{start}`, `(?x)`, `(?R)`, `(?u)` | accepted | `\b` and literal or repetition; errors |
//! | `(?P<n>x)(?P<n>y)` | an error | accepted; names may start with a digit |
//! | `x{,5}`, `{`, `x{a}`, `x{01}` | partly errors | literal |
//! | `x{1001}`, `(x{100}){100}` | accepted, up to a size | errors: products are limited to 1000 |
//! | `x**`, `x+*`, `x{2}{3}` | accepted | errors; but `x*(?i)*` is valid |
//! | `\p{greek}`, `\p{L1}`, `\p{Alphabetic}` | loose names, any property | exact names only |
//! | `\pé`, `[[:nope:]]`, `[z-a]` | partly accepted | errors |
//! | `\x{D800}` | an error | accepted, matches nothing (Go in places: U+FFFD) |
//!
//! # Remaining differences
//! - Names and members of Unicode classes and case folding follow the Unicode version of the crate,
//!   which is newer than Go's.
//! - Groups nest up to 250 levels here and about 1000 in Go. The limits of [`limits`] are stricter
//!   than Go's 128 MiB.
//!
//! The parser is a single pass without recursion, so hostile expressions cannot exhaust the stack.
//! `pattern` compiles the result.
//!
//! | module | contents |
//! |---|---|
//! | `class` | character classes and case folding |
//! | `escape` | escapes of a single character |
//! | `frame` | open group of an expression |
//! | `input` | cursor over the characters |
//! | `limits` | limits on the cost of an expression |
//! | `repeat` | repetition operators |
//! | `unicode` | general categories and scripts |

mod class;
mod escape;
mod frame;
mod input;
pub(super) mod limits;
mod repeat;
mod unicode;

use crate::model::matcher::error::{MatcherError, SyntaxError};
use frame::{Element, GroupFrame};
use input::Input;
use limits::{Budget, MAX_DEPTH};
use regex_syntax::hir::{Dot, Hir, Look};
use repeat::RepeatCount;

/// Parses an expression. Captures and greediness are dropped: they do not affect whether a value
/// matches.
pub(super) fn parse(pattern: &str) -> Result<Hir, MatcherError> {
    parse_with(pattern, None)
}

/// Parses an expression whose groups are read. Greediness is kept: it decides what groups match.
///
/// `select` gets the number and name of each group. The groups for which it returns `true` become
/// captures, numbered from 1 without gaps; the others do not capture.
pub(in crate::model) fn parse_with_groups<'a>(
    pattern: &'a str,
    select: &'a mut dyn FnMut(u32, Option<&str>) -> bool,
) -> Result<Hir, MatcherError> {
    parse_with(pattern, Some(GroupSelector { select, groups: 0, captures: 0 }))
}

/// Selection of the groups that become captures.
struct GroupSelector<'a> {
    select: &'a mut dyn FnMut(u32, Option<&str>) -> bool,
    /// Number of groups so far.
    groups: u32,
    /// Number of selected groups so far.
    captures: u32,
}

impl GroupSelector<'_> {
    /// Returns the number of the capture that the next group becomes, if any.
    fn next_group(&mut self, name: Option<&str>) -> Option<u32> {
        self.groups += 1;
        let is_selected = (self.select)(self.groups, name);
        self.captures += u32::from(is_selected);
        is_selected.then_some(self.captures)
    }
}

fn parse_with<'a>(
    pattern: &'a str,
    selector: Option<GroupSelector<'a>>,
) -> Result<Hir, MatcherError> {
    let mut parser = RegexParser {
        input: Input::new(pattern),
        flags: Flags { fold: false, multi_line: false, dot_newline: true, swap_greed: false },
        outer: Vec::new(),
        frame: GroupFrame::default(),
        budget: Budget::default(),
        last_repeat: None,
        selector,
    };
    limits::check_length(pattern)?;
    while let Some(next) = parser.input.peek() {
        let start = parser.input.clone();
        let is_repeat = parser.step(next)?;
        parser.last_repeat = is_repeat.then_some(start);
    }
    if !parser.outer.is_empty() {
        return Err(parser.input.error_of_whole(SyntaxError::MissingParen));
    }
    Ok(parser.frame.finish().hir)
}

/// Flags of a group.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    /// Flag `i`: matching ignores case.
    fold: bool,
    /// Flag `m`: `^` and `$` match at line breaks.
    multi_line: bool,
    /// Flag `s`: `.` matches `\n`.
    dot_newline: bool,
    /// Flag `U`: operators are lazy, and greedy with `?`. Only groups depend on it.
    swap_greed: bool,
}

struct RegexParser<'a> {
    input: Input<'a>,
    flags: Flags,
    /// Enclosing groups, each with the flags to restore after its inner group.
    outer: Vec<(GroupFrame, Flags)>,
    frame: GroupFrame,
    budget: Budget,
    /// Start of the repetition operator that was read last, if nothing follows it yet.
    last_repeat: Option<Input<'a>>,
    /// `None` if no group is read.
    selector: Option<GroupSelector<'a>>,
}

impl<'a> RegexParser<'a> {
    /// Parses one element. Returns `true` if it was a repetition operator.
    fn step(&mut self, next: char) -> Result<bool, MatcherError> {
        match next {
            '*' | '+' | '?' | '{' => return self.repetition(),
            '(' => self.open()?,
            ')' => self.close()?,
            '[' => {
                let class =
                    class::parse_bracket_class(&mut self.input, self.flags.fold, &mut self.budget)?;
                self.push(Hir::class(class))?;
            }
            '\\' => self.escape()?,
            '|' => {
                self.input.bump();
                self.budget.node()?;
                self.frame.end_alternative();
            }
            '^' => self.symbol(Hir::look(if self.flags.multi_line {
                Look::StartLF
            } else {
                Look::Start
            }))?,
            '$' => {
                self.symbol(Hir::look(if self.flags.multi_line { Look::EndLF } else { Look::End }))?
            }
            '.' => {
                self.symbol(Hir::dot(if self.flags.dot_newline {
                    Dot::AnyChar
                } else {
                    Dot::AnyCharExceptLF
                }))?;
            }
            _ => {
                self.input.bump();
                self.literal(u32::from(next))?;
            }
        }
        Ok(false)
    }

    fn symbol(&mut self, hir: Hir) -> Result<(), MatcherError> {
        self.input.bump();
        self.push(hir)
    }

    fn push(&mut self, hir: Hir) -> Result<(), MatcherError> {
        self.budget.node()?;
        self.frame.push(Element { hir, repeats: 1, levels: 1 });
        Ok(())
    }

    fn literal(&mut self, rune: u32) -> Result<(), MatcherError> {
        match char::from_u32(rune) {
            Some(c) if !self.flags.fold => self.frame.push_char(c),
            Some(c) => {
                let class = class::folded_char(c, &mut self.budget)?;
                self.push(Hir::class(class))?;
            }
            // Go accepts surrogates, but no string contains one.
            None => self.push(Hir::fail())?,
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), MatcherError> {
        let look = match self.input.rest().as_bytes().get(1) {
            Some(b'A') => Look::Start,
            Some(b'z') => Look::End,
            Some(b'b') => Look::WordAscii,
            Some(b'B') => Look::WordAsciiNegate,
            Some(b'Q') => return self.quoted(),
            _ => {
                if let Some(class) =
                    class::parse_escape_class(&mut self.input, self.flags.fold, &mut self.budget)?
                {
                    return self.push(Hir::class(class));
                }
                let rune = escape::rune(&mut self.input)?;
                return self.literal(rune);
            }
        };
        self.input.skip(2);
        self.push(Hir::look(look))
    }

    /// Parses `\Q` … `\E`, whose content is literal.
    fn quoted(&mut self) -> Result<(), MatcherError> {
        self.input.skip(2);
        let rest = self.input.rest();
        let (literal, end) = match rest.find(r"\E") {
            Some(len) => (&rest[..len], len + 2),
            None => (rest, rest.len()),
        };
        for c in literal.chars() {
            self.literal(u32::from(c))?;
        }
        self.input.skip(end);
        Ok(())
    }

    fn repetition(&mut self) -> Result<bool, MatcherError> {
        let start = self.input.clone();
        let Some(count) = RepeatCount::read(&mut self.input)? else {
            self.input.bump();
            self.literal(u32::from('{'))?;
            return Ok(false);
        };
        let is_greedy = self.input.eat("?") == self.flags.swap_greed;
        let greed = self.selector.as_ref().map(|_| is_greedy);
        if let Some(previous) = &self.last_repeat {
            return Err(previous.error_to(&self.input, SyntaxError::NestedRepeat));
        }
        let Some(element) = self.frame.pop() else {
            return Err(start.error_to(&self.input, SyntaxError::MissingRepeatArgument));
        };
        self.budget.node()?;
        let Some(repeated) = count.repeat(element, greed) else {
            return Err(start.error_to(&self.input, SyntaxError::RepeatSize));
        };
        self.frame.push(repeated);
        Ok(true)
    }

    fn open(&mut self) -> Result<(), MatcherError> {
        let outer_flags = self.flags;
        let start = self.input.clone();
        self.input.skip(1);
        let mut group = Some(None);
        if self.input.eat("?") {
            if self.eat_name_start() {
                group = Some(Some(self.group_name(&start)?));
            } else if self.flags(&start)? == ')' {
                return Ok(());
            } else {
                group = None;
            }
        }
        if self.outer.len() >= MAX_DEPTH {
            return Err(start.error_of_whole(SyntaxError::NestingDepth));
        }
        self.budget.node()?;
        let selector = self.selector.as_mut();
        let capture = group.zip(selector).and_then(|(name, selector)| selector.next_group(name));
        self.outer
            .push((std::mem::replace(&mut self.frame, GroupFrame::new(capture)), outer_flags));
        Ok(())
    }

    /// Skips `P<` or `<` if a name can follow. Returns `true` if it was next.
    fn eat_name_start(&mut self) -> bool {
        let rest = self.input.rest();
        let is_next = ["P<", "<"]
            .iter()
            .any(|start| rest.strip_prefix(start).is_some_and(|name| !name.is_empty()));
        is_next && (self.input.eat("P<") || self.input.eat("<"))
    }

    /// Parses the name of a group and the `>` behind it.
    fn group_name(&mut self, start: &Input<'a>) -> Result<&'a str, MatcherError> {
        let Some((name, _)) = self.input.rest().split_once('>') else {
            return Err(start.error_of_rest(SyntaxError::CaptureName));
        };
        self.input.skip(name.len() + 1);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(start.error_to(&self.input, SyntaxError::CaptureName));
        }
        Ok(name)
    }

    /// Parses `i`, `ims-U`, … up to and including the `:` or `)`, which is returned.
    fn flags(&mut self, start: &Input<'_>) -> Result<char, MatcherError> {
        let mut value = true;
        let mut seen_after_minus = false;
        let mut flags = self.flags;
        loop {
            match self.input.bump() {
                Some('i') => flags.fold = value,
                Some('m') => flags.multi_line = value,
                Some('s') => flags.dot_newline = value,
                Some('U') => flags.swap_greed = value,
                Some('-') if value => {
                    value = false;
                    continue;
                }
                Some(end @ (':' | ')')) if value || seen_after_minus => {
                    self.flags = flags;
                    return Ok(end);
                }
                _ => return Err(start.error_to(&self.input, SyntaxError::GroupFlags)),
            }
            seen_after_minus = !value;
        }
    }

    fn close(&mut self) -> Result<(), MatcherError> {
        let Some((outer, flags)) = self.outer.pop() else {
            return Err(self.input.error_of_whole(SyntaxError::UnexpectedParen));
        };
        self.input.bump();
        let group = std::mem::replace(&mut self.frame, outer).finish();
        limits::check_levels(group.levels)?;
        self.flags = flags;
        self.frame.push(group);
        Ok(())
    }
}
