//! Entries of a body as text, for tests.

use crate::exposition::entry::{EntryKind, EntryValue, ExemplarEntry, MetadataItem};
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::parse_error::ParseError;
use crate::exposition::parser::Parser;
use std::fmt::Write as _;

/// Entries of a body, and the error after them.
#[derive(Debug, PartialEq)]
pub(crate) struct Parsed {
    /// Lines, each with an entry: `TYPE family type`, or labels, value, `@` timestamp, `st` start
    /// timestamp, `#` exemplar.
    pub(crate) entries: Vec<String>,
    /// Error that ended the body.
    pub(crate) error: Option<ParseError>,
}

/// Reads a body to its end or to an error.
pub(crate) fn parse(mut parser: impl Parser) -> Parsed {
    let mut entries = Vec::new();
    loop {
        match parser.next_entry() {
            Ok(Some(EntryKind::Metadata)) => entries.push(metadata_line(&parser)),
            Ok(Some(EntryKind::Series)) => entries.push(series_line(&parser)),
            Ok(None) => return Parsed { entries, error: None },
            Err(error) => return Parsed { entries, error: Some(error) },
        }
    }
}

fn metadata_line(parser: &impl Parser) -> String {
    let metadata = parser.metadata();
    match metadata.item {
        MetadataItem::Type(metric_type) => {
            format!("TYPE {:?} {}", metadata.family, metric_type.as_str())
        }
        MetadataItem::Help(text) => format!("HELP {:?} {text:?}", metadata.family),
        MetadataItem::Unit(unit) => format!("UNIT {:?} {unit:?}", metadata.family),
    }
}

fn series_line(parser: &impl Parser) -> String {
    let series = parser.series();
    let mut line = String::new();
    let mut labels = LabelBuffer::new();
    parser.labels(&mut labels);
    push_labels(&mut line, &labels);
    match series.value {
        EntryValue::Float(value) => write!(line, " {value}"),
        histogram => write!(line, " {histogram:?}"),
    }
    .expect("a string takes everything");
    if let Some(timestamp) = series.timestamp {
        line += &format!(" @{timestamp}");
    }
    if series.start_timestamp != 0 {
        line += &format!(" st {}", series.start_timestamp);
    }
    let mut exemplar = ExemplarEntry::default();
    for index in 0.. {
        if !parser.exemplar(index, &mut exemplar) {
            break;
        }
        line += " # ";
        push_labels(&mut line, &exemplar.labels);
        line += &format!(" {}", exemplar.value);
        if let Some(timestamp) = exemplar.timestamp {
            line += &format!(" @{timestamp}");
        }
    }
    line
}

fn push_labels(line: &mut String, labels: &LabelBuffer) {
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    *line += &format!("{{{}}}", pairs.join(","));
}
