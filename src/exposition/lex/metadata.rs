//! Content of the latest metadata line.

use crate::exposition::entry::{MetadataEntry, MetadataItem};
use crate::exposition::lex::label_set::{Body, Fault};
use crate::exposition::lex::scan::{Newlines, byte_at, metric_name, quoted};
use crate::exposition::parse_error::TextProblem;
use crate::model::metadata::MetricType;
use std::ops::Range;

/// Latest metadata line.
#[derive(Debug)]
pub(crate) struct MetadataLine {
    /// Family name, without quotes.
    pub(crate) family: Range<usize>,
    /// Type, help or unit.
    pub(crate) item: LineItem,
    /// Help text of [`LineItem::Unescaped`]. Reused.
    pub(crate) unescaped: String,
}

/// Item of a metadata line.
#[derive(Clone, Debug)]
pub(crate) enum LineItem {
    /// Type.
    Type(MetricType),
    /// Help text without escapes.
    Help(Range<usize>),
    /// Help text that had escapes, in [`MetadataLine::unescaped`].
    Unescaped,
    /// Unit.
    Unit(Range<usize>),
}

impl Default for MetadataLine {
    fn default() -> Self {
        Self { family: 0..0, item: LineItem::Help(0..0), unescaped: String::new() }
    }
}

impl MetadataLine {
    /// Sets the help text. `push_unescaped` appends the text without its escapes.
    pub(crate) fn set_help(
        &mut self,
        body: Body<'_>,
        text: Range<usize>,
        push_unescaped: impl Fn(&mut String, &str),
    ) {
        let help = body.text(text.clone());
        self.item = if help.contains('\\') {
            self.unescaped.clear();
            push_unescaped(&mut self.unescaped, help);
            LineItem::Unescaped
        } else {
            LineItem::Help(text)
        };
    }

    /// Returns the entry.
    pub(crate) fn entry<'b>(&'b self, body: Body<'b>) -> MetadataEntry<'b> {
        let item = match &self.item {
            LineItem::Type(metric_type) => MetadataItem::Type(*metric_type),
            LineItem::Help(text) => MetadataItem::Help(body.text(text.clone())),
            LineItem::Unescaped => MetadataItem::Help(&self.unescaped),
            LineItem::Unit(unit) => MetadataItem::Unit(body.text(unit.clone())),
        };
        MetadataEntry { family: body.text(self.family.clone()), item }
    }
}

/// Keyword of a metadata line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    /// `HELP`
    Help,
    /// `TYPE`
    Type,
    /// `UNIT`
    Unit,
}

impl Keyword {
    /// Returns the keyword as in the body.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Help => "HELP",
            Self::Type => "TYPE",
            Self::Unit => "UNIT",
        }
    }
}

/// Family name of a metadata line.
pub(crate) struct FamilyName {
    /// Name without quotes; its escapes stay, as in Prometheus.
    pub(crate) name: Range<usize>,
    /// Offset after the name and its quotes.
    pub(crate) end: usize,
}

/// Parses the family name at an offset, plain or quoted.
pub(crate) fn family_name(
    body: Body<'_>,
    at: usize,
    keyword: Keyword,
) -> Result<FamilyName, Fault> {
    let missing = || Fault::new(TextProblem::ExpectedFamily { keyword: keyword.as_str() }, at);
    if byte_at(body.bytes, at) == Some(b'"') {
        let name = quoted(body.bytes, at, Newlines::Allowed).ok_or_else(missing)?;
        body.check_utf8(&name, "metric name")?;
        return Ok(FamilyName { end: name.end + 1, name });
    }
    let end = metric_name(body.bytes, at);
    if end == at { Err(missing()) } else { Ok(FamilyName { name: at..end, end }) }
}
