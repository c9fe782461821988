//! OpenMetrics text, versions 0.0.1 and 1.0.0.
//!
//! ```text
//! # TYPE name_seconds counter
//! # UNIT name_seconds seconds
//! # HELP name_seconds text            escapes as in values: \" \\ \n
//! name_seconds_total{label="value"} 1.5 1712345678.901 # {trace_id="x"} 0.5 1712345678.5
//! {"quoted.name",label="value"} 1
//! # EOF
//! ```
//!
//! Pieces are separated by a single space. Blanks within braces, empty lines and other comments are
//! errors. Timestamps are seconds. The body ends with `# EOF` and at most one newline. As in
//! Prometheus, suffixes, order and repetition of families are not checked, and every version is
//! parsed alike. Source: the OpenMetrics specification; Prometheus's
//! `model/textparse/openmetricslex.l` is the authority.
//!
//! | module | contents |
//! |---|---|
//! | [`created`] | start timestamps from `_created` samples |
//! | `line` | sample lines with exemplars |

mod created;
mod line;
#[cfg(test)]
mod tests;

use crate::exposition::entry::{EntryKind, ExemplarEntry, MetadataEntry, SeriesEntry};
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::lex::label_set::{Body, Fault};
use crate::exposition::lex::metadata::{Keyword, LineItem, MetadataLine, family_name};
use crate::exposition::lex::scan::{byte_at, line_end, slice};
use crate::exposition::lex::unescape::push_unescaped;
use crate::exposition::openmetrics::created::{CreatedSamples, Family, has_start};
use crate::exposition::openmetrics::line::{Line, OpenMetricsLabels, parse_line};
use crate::exposition::parse_error::{ParseError, TextProblem, common_type, shorten};
use crate::exposition::parser::Parser;
use crate::model::metadata::MetricType;
use std::ops::Range;

const END: &[u8] = b"# EOF";

/// Parser of OpenMetrics.
#[derive(Debug)]
pub(crate) struct OpenMetricsParser<'a> {
    body: Body<'a>,
    /// Offset of the next line.
    at: usize,
    /// Type of the latest TYPE line, whatever its family.
    family_type: MetricType,
    metadata: MetadataLine,
    line: Line,
    /// Present if `_created` samples are start timestamps.
    created: Option<CreatedSamples>,
    /// Start timestamp of the latest series, ms; 0 = unknown.
    start_timestamp: i64,
}

impl<'a> OpenMetricsParser<'a> {
    /// Returns a parser at the start of a body. With `start_timestamps`, `_created` samples are
    /// skipped and become the start timestamps of their series.
    pub(crate) fn new(body: &'a [u8], start_timestamps: bool) -> Self {
        Self {
            body: Body::new(body),
            at: 0,
            family_type: MetricType::Unknown,
            metadata: MetadataLine::default(),
            line: Line::default(),
            created: start_timestamps.then(CreatedSamples::default),
            start_timestamp: 0,
        }
    }

    fn next_line(&mut self) -> Result<Option<EntryKind>, Fault> {
        let bytes = self.body.bytes;
        loop {
            let at = self.at;
            match byte_at(bytes, at) {
                None => return Err(Fault::new(TextProblem::MissingEof, bytes.len())),
                Some(b'#') if bytes.get(at..).is_some_and(|rest| rest.starts_with(END)) => {
                    return self.end(at + END.len());
                }
                Some(b'#') => {
                    self.parse_metadata(at)?;
                    return Ok(Some(EntryKind::Metadata));
                }
                Some(_) => {}
            }
            self.line = parse_line(self.body, at)?;
            self.at = self.line.end;
            let family =
                Family { metric_type: self.family_type, name_length: self.metadata.family.len() };
            if let Some(created) = &mut self.created {
                if has_start(family.metric_type) && self.line.is_created(self.body) {
                    continue;
                }
                self.start_timestamp = created.start_timestamp(self.body, family, &self.line);
            }
            return Ok(Some(EntryKind::Series));
        }
    }

    /// Checks the bytes after the end marker.
    fn end(&self, at: usize) -> Result<Option<EntryKind>, Fault> {
        match slice(self.body.bytes, at..self.body.bytes.len()) {
            b"" | b"\n" => Ok(None),
            _ => Err(Fault::new(TextProblem::DataAfterEof, at)),
        }
    }

    fn parse_metadata(&mut self, start: usize) -> Result<(), Fault> {
        const PREFIX: usize = "# HELP ".len();
        let bytes = self.body.bytes;
        let keyword = match slice(bytes, start..start + PREFIX) {
            b"# HELP " => Keyword::Help,
            b"# TYPE " => Keyword::Type,
            b"# UNIT " => Keyword::Unit,
            _ => return Err(Fault::new(TextProblem::ExpectedLine, start)),
        };
        let family = family_name(self.body, start + PREFIX, keyword)?;
        let end = line_end(bytes, family.end);
        // The separator is required even if there is no text, and so is the newline.
        if byte_at(bytes, family.end) != Some(b' ') || end == bytes.len() {
            let problem = TextProblem::ExpectedText { keyword: keyword.as_str() };
            return Err(Fault::new(problem, family.end));
        }
        let text = family.end + 1..end;
        let item = match keyword {
            Keyword::Type => LineItem::Type(self.metric_type(&text)?),
            Keyword::Unit => LineItem::Unit(self.unit(&text, &family.name)?),
            Keyword::Help => {
                self.body.check_utf8(&text, "help text")?;
                self.metadata.set_help(self.body, text, push_unescaped);
                self.metadata.item.clone()
            }
        };
        if let LineItem::Type(metric_type) = item {
            self.family_type = metric_type;
        }
        self.metadata.family = family.name;
        self.metadata.item = item;
        self.at = end + 1;
        Ok(())
    }

    fn metric_type(&self, text: &Range<usize>) -> Result<MetricType, Fault> {
        let name = slice(self.body.bytes, text.clone());
        match name {
            b"gaugehistogram" => Ok(MetricType::GaugeHistogram),
            b"info" => Ok(MetricType::Info),
            b"stateset" => Ok(MetricType::Stateset),
            b"unknown" => Ok(MetricType::Unknown),
            _ => common_type(name).ok_or_else(|| {
                Fault::new(TextProblem::InvalidType { name: shorten(name) }, text.start)
            }),
        }
    }

    /// Checks that the unit is the end of the family name, after an underscore.
    fn unit(&self, text: &Range<usize>, family: &Range<usize>) -> Result<Range<usize>, Fault> {
        let unit = slice(self.body.bytes, text.clone());
        let family = slice(self.body.bytes, family.clone());
        let stem = family.strip_suffix(unit);
        if unit.is_empty() || stem.is_some_and(|stem| stem.ends_with(b"_")) {
            return Ok(text.clone());
        }
        let problem = TextProblem::UnitNotSuffix { unit: shorten(unit), family: shorten(family) };
        Err(Fault::new(problem, text.start))
    }
}

impl Parser for OpenMetricsParser<'_> {
    fn next_entry(&mut self) -> Result<Option<EntryKind>, ParseError> {
        self.next_line()
            .map_err(|fault| ParseError::in_text(fault.problem, self.body.bytes, fault.at))
    }

    fn metadata(&self) -> MetadataEntry<'_> {
        self.metadata.entry(self.body)
    }

    fn series(&self) -> SeriesEntry<'_> {
        self.line.sample.entry(self.body, self.start_timestamp)
    }

    fn labels(&self, labels: &mut LabelBuffer) {
        let series = &self.line.sample.series;
        series.labels::<OpenMetricsLabels>(self.body, self.family_type, labels);
    }

    fn exemplar(&self, index: usize, exemplar: &mut ExemplarEntry) -> bool {
        index == 0 && self.line.exemplar(self.body, exemplar)
    }
}
