//! Templates of replacements and target labels: text with references to groups.
//!
//! The syntax is that of Go's `regexp.Expand`: `$1`, `$name`, `${1}`, `${name}`, and `$$` for a
//! dollar sign. A name is the longest run of letters, digits and `_`, so `$1x` is `${1x}`. A `$`
//! before anything else is literal. A group that does not exist or did not match is empty.

use super::groups::{GroupName, GroupRegex, Groups};
use crate::model::label_editor::LabelEditor;
use crate::model::label_editor::span::Span;
use regex::Regex;
use std::sync::LazyLock;

/// Template whose references are not resolved yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedTemplate {
    parts: Vec<ParsedPart>,
}

#[derive(Debug, PartialEq, Eq)]
enum ParsedPart {
    Literal(String),
    Group(GroupName),
}

impl ParsedTemplate {
    pub(super) fn parse(template: &str) -> Self {
        let mut parsed = Self::default();
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('$') {
            parsed.push_literal(literal);
            if let Some(after_escape) = after.strip_prefix('$') {
                parsed.push_literal("$");
                rest = after_escape;
            } else if let Some((name, after_name)) = split_reference(after) {
                parsed.parts.push(ParsedPart::Group(group_name(name)));
                rest = after_name;
            } else {
                parsed.push_literal("$");
                rest = after;
            }
        }
        parsed.push_literal(rest);
        parsed
    }

    /// Iterates over the references to groups other than the whole match.
    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupName> {
        self.parts.iter().filter_map(|part| match part {
            ParsedPart::Literal(_) | ParsedPart::Group(GroupName::Number(0)) => None,
            ParsedPart::Group(name) => Some(name),
        })
    }

    /// Binds the references to the captures of a compiled expression.
    pub(super) fn resolve(self, regex: &GroupRegex) -> Template {
        let mut parts = Vec::new();
        for part in self.parts {
            match part {
                ParsedPart::Literal(literal) => parts.push(Part::Literal(literal)),
                ParsedPart::Group(name) => {
                    let captures = regex.captures_of(&name);
                    if !captures.is_empty() {
                        parts.push(Part::Captures(captures));
                    }
                }
            }
        }
        Template { parts }
    }

    fn push_literal(&mut self, literal: &str) {
        match self.parts.last_mut() {
            _ if literal.is_empty() => {}
            Some(ParsedPart::Literal(last)) => last.push_str(literal),
            _ => self.parts.push(ParsedPart::Literal(literal.to_owned())),
        }
    }
}

/// Splits a reference, without its `$`, into its name and what follows.
fn split_reference(text: &str) -> Option<(&str, &str)> {
    // Go's letters and digits. The expression is constant.
    static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nd}_]+").ok());
    let inner = text.strip_prefix('{');
    let start = inner.unwrap_or(text);
    let (name, rest) = start.split_at(NAME.as_ref()?.find(start)?.end());
    match inner {
        Some(_) => Some((name, rest.strip_prefix('}')?)),
        None => Some((name, rest)),
    }
}

fn group_name(name: &str) -> GroupName {
    let is_number =
        name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    match name.parse() {
        // Go reads up to nine digits as a number. No expression has that many groups.
        Ok(number) if is_number => GroupName::Number(number),
        _ => GroupName::Name(name.to_owned()),
    }
}

/// Template bound to the captures of an expression.
#[derive(Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    /// The first of these captures that matched.
    Captures(Vec<usize>),
}

impl Template {
    /// Expands the template and appends the text to the editor. `value` is the text that matched.
    pub(super) fn expand(&self, labels: &mut LabelEditor, value: Span, groups: &Groups) -> Span {
        // A single group needs no copy.
        if let [Part::Captures(captures)] = self.parts.as_slice() {
            return groups.first(captures, value).unwrap_or_default();
        }
        let mark = labels.text.mark();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => {
                    labels.text.append(literal);
                }
                Part::Captures(captures) => {
                    if let Some(group) = groups.first(captures, value) {
                        labels.text.append_span(group);
                    }
                }
            }
        }
        labels.text.since(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::{GroupName, ParsedPart, ParsedTemplate};

    #[test]
    fn references_are_split_as_in_go() {
        let literal = |text: &str| ParsedPart::Literal(text.to_owned());
        let number = |number| ParsedPart::Group(GroupName::Number(number));
        let name = |name: &str| ParsedPart::Group(GroupName::Name(name.to_owned()));
        for (template, parts) in [
            ("", vec![]),
            ("a", vec![literal("a")]),
            ("$1", vec![number(1)]),
            ("a$1-${2}b", vec![literal("a"), number(1), literal("-"), number(2), literal("b")]),
            ("$1x", vec![name("1x")]),
            ("${1}x", vec![number(1), literal("x")]),
            ("$1_", vec![name("1_")]),
            ("$é٣-", vec![name("é٣"), literal("-")]),
            ("$$1", vec![literal("$1")]),
            ("a$$$0", vec![literal("a$"), number(0)]),
            ("$", vec![literal("$")]),
            ("${1", vec![literal("${1")]),
            ("${}$-", vec![literal("${}$-")]),
            ("${a b}", vec![literal("${a b}")]),
            ("$01", vec![name("01")]),
            ("$99999999999", vec![name("99999999999")]),
        ] {
            assert_eq!(ParsedTemplate::parse(template).parts, parts, "{template}");
        }
    }
}
