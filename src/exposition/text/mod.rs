//! Prometheus's text format, versions 0.0.4 and 1.0.0.
//!
//! ```text
//! # HELP name text            escapes: \\ \n
//! # TYPE name counter         counter, gauge, histogram, summary, untyped
//! # any other comment
//! name{label="value",} 1.5 1712345678901
//! {"quoted.name","quoted.label"="value"} NaN
//! ```
//!
//! Blanks (spaces and tabs) separate pieces and are optional next to braces, commas and equal
//! signs. Lines can be empty; the last one needs no newline. Timestamps are digits, ms. A comma
//! between labels is optional. Label values can contain newlines. Blanks before a name belong to
//! the name. Prometheus has the same rules; its authority is `model/textparse/promlex.l`.
//!
//! Difference from Prometheus: there a NUL byte at the start of a line or in a comment without a
//! blank after `#` ends the body, and the rest is dropped without an error. Here the former is an
//! error, and the latter is part of the comment.

#[cfg(test)]
mod tests;

use crate::exposition::entry::{EntryKind, ExemplarEntry, MetadataEntry, SeriesEntry};
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::lex::label_set::{Body, Fault, Item, LabelSyntax, walk};
use crate::exposition::lex::metadata::{Keyword, LineItem, MetadataLine, family_name};
use crate::exposition::lex::sample::{SampleLine, SeriesText};
use crate::exposition::lex::scan::{
    Newlines, blanks, byte_at, end_of, line_end, metric_name, slice,
};
use crate::exposition::lex::unescape::push_unescaped_help;
use crate::exposition::number::{parse_millis, parse_value};
use crate::exposition::parse_error::{ParseError, TextProblem, common_type, shorten};
use crate::exposition::parser::Parser;
use crate::model::metadata::MetricType;

/// Parser of the text format.
#[derive(Debug)]
pub(crate) struct TextParser<'a> {
    body: Body<'a>,
    /// Offset of the next line.
    at: usize,
    /// Type of the latest TYPE line, whatever its family.
    family_type: MetricType,
    metadata: MetadataLine,
    sample: SampleLine,
}

/// Label sets of the text format.
struct TextLabels;

impl LabelSyntax for TextLabels {
    const BLANKS: bool = true;
    const COMMAS: bool = false;
    const METRIC_NAME: bool = true;
    const NAME_NEWLINES: Newlines = Newlines::Allowed;
    const VALUE_NEWLINES: Newlines = Newlines::Allowed;
}

impl<'a> TextParser<'a> {
    /// Returns a parser at the start of a body.
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self {
            body: Body::new(body),
            at: 0,
            family_type: MetricType::Unknown,
            metadata: MetadataLine::default(),
            sample: SampleLine::default(),
        }
    }

    fn next_line(&mut self) -> Result<Option<EntryKind>, Fault> {
        let bytes = self.body.bytes;
        loop {
            let start = self.at;
            let at = blanks(bytes, start);
            match byte_at(bytes, at) {
                None => return Ok(None),
                Some(b'\n') => self.at = at + 1,
                Some(b'#') => {
                    if self.parse_comment(at + 1)? {
                        return Ok(Some(EntryKind::Metadata));
                    }
                }
                Some(_) => {
                    self.parse_sample(start, at)?;
                    return Ok(Some(EntryKind::Series));
                }
            }
        }
    }

    /// Parses a line after its `#`. Returns `true` if it has metadata.
    fn parse_comment(&mut self, at: usize) -> Result<bool, Fault> {
        let bytes = self.body.bytes;
        let keyword_at = blanks(bytes, at);
        let keyword_end = keyword_at + Keyword::Help.as_str().len();
        let keyword = match slice(bytes, keyword_at..keyword_end) {
            b"HELP" => Some(Keyword::Help),
            b"TYPE" => Some(Keyword::Type),
            _ => None,
        };
        let family_at = blanks(bytes, keyword_end);
        let has_blanks = keyword_at > at && family_at > keyword_end;
        let Some(keyword) = keyword.filter(|_| has_blanks) else {
            self.at = line_end(bytes, at) + 1;
            return Ok(false);
        };
        let family = family_name(self.body, family_at, keyword)?;
        let end = line_end(bytes, family.end);
        // One blank separates the text; more of them belong to it, unless there is nothing else.
        let is_blank = blanks(bytes, family.end) >= end;
        let text = if is_blank { end..end } else { (family.end + 1).min(end)..end };
        self.metadata.family = family.name;
        match keyword {
            Keyword::Type => {
                let name = slice(bytes, text.clone());
                self.family_type = match (common_type(name), name) {
                    (Some(metric_type), _) => metric_type,
                    (None, b"untyped") => MetricType::Unknown,
                    _ => {
                        let problem = TextProblem::InvalidType { name: shorten(name) };
                        return Err(Fault::new(problem, text.start));
                    }
                };
                self.metadata.item = LineItem::Type(self.family_type);
            }
            _ => {
                self.body.check_utf8(&text, "help text")?;
                self.metadata.set_help(self.body, text, push_unescaped_help);
            }
        }
        self.at = end + 1;
        Ok(true)
    }

    /// Parses a sample. The line starts with blanks up to `at`.
    fn parse_sample(&mut self, start: usize, at: usize) -> Result<(), Fault> {
        let bytes = self.body.bytes;
        let series = self.parse_series(start, at)?;
        let value_at = blanks(bytes, series.key.end);
        let value_end =
            end_of(bytes, value_at, |byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'{'));
        if value_end == value_at {
            return Err(Fault::new(TextProblem::ExpectedValue { part: "metric" }, value_at));
        }
        let value = parse_value(slice(bytes, value_at..value_end))
            .map_err(|problem| Fault::new(problem, value_at))?;
        let mut end = blanks(bytes, value_end);
        let mut timestamp = None;
        if byte_at(bytes, end).is_some_and(|byte| byte.is_ascii_digit()) {
            let digits_end = end_of(bytes, end, |byte| byte.is_ascii_digit());
            let millis = parse_millis(slice(bytes, end..digits_end))
                .map_err(|problem| Fault::new(problem, end))?;
            timestamp = Some(millis);
            end = blanks(bytes, digits_end);
        }
        if !matches!(byte_at(bytes, end), None | Some(b'\n')) {
            let problem = match timestamp {
                Some(_) => TextProblem::ExpectedLineEnd { part: "timestamp" },
                None => TextProblem::ExpectedTimestamp,
            };
            return Err(Fault::new(problem, end));
        }
        self.sample = SampleLine { series, value, timestamp };
        self.at = end + 1;
        Ok(())
    }

    fn parse_series(&self, start: usize, at: usize) -> Result<SeriesText, Fault> {
        let bytes = self.body.bytes;
        let name_end = metric_name(bytes, at);
        let brace = blanks(bytes, name_end);
        if byte_at(bytes, brace) != Some(b'{') {
            if name_end == at {
                return Err(Fault::new(TextProblem::ExpectedLine, at));
            }
            let name = start..name_end;
            return Ok(SeriesText { key: name.clone(), name, labels: None });
        }
        let mut name = (name_end > at).then_some(start..name_end);
        let end = walk::<TextLabels>(self.body, brace + 1, |item| match item {
            Item::MetricName(_) if name.is_some() => Err(TextProblem::SecondName),
            Item::MetricName(quoted) => {
                name = Some(quoted);
                Ok(())
            }
            Item::Label { .. } => Ok(()),
        })?;
        let name = name.ok_or(Fault::new(TextProblem::MissingName, at))?;
        Ok(SeriesText { key: start..end, name, labels: Some(brace + 1) })
    }
}

impl Parser for TextParser<'_> {
    fn next_entry(&mut self) -> Result<Option<EntryKind>, ParseError> {
        self.next_line()
            .map_err(|fault| ParseError::in_text(fault.problem, self.body.bytes, fault.at))
    }

    fn metadata(&self) -> MetadataEntry<'_> {
        self.metadata.entry(self.body)
    }

    fn series(&self) -> SeriesEntry<'_> {
        self.sample.entry(self.body, 0)
    }

    fn labels(&self, labels: &mut LabelBuffer) {
        self.sample.series.labels::<TextLabels>(self.body, self.family_type, labels);
    }

    fn exemplar(&self, _index: usize, _exemplar: &mut ExemplarEntry) -> bool {
        false
    }
}
