//! Exposition in text: an arbitrary body is rejected with its place, or its entries are consistent.

use narthex::exposition::entry::{EntryKind, EntryValue, ExemplarEntry};
use narthex::exposition::format::Format;
use narthex::exposition::label_buffer::LabelBuffer;
use narthex::exposition::open::open_parser;
use narthex::exposition::parse_error::ParseError;
use narthex::exposition::parser::ParserOptions;

/// Series of a body: key, labels and value bits.
type Series = (Vec<u8>, Vec<(String, String)>, u64);

/// Panics if the text parser contradicts itself.
pub(crate) fn check_text(data: &[u8]) {
    let series = parse(data, Format::Text, ParserOptions::default());
    for (key, labels, _) in series.0 {
        // A name that follows blanks keeps them, so a key is a line of its own.
        let line = [key.as_slice(), b" 1"].concat();
        let again = parse(&line, Format::Text, ParserOptions::default());
        assert_eq!(again.1, None, "{}", line.escape_ascii());
        assert_eq!(names(&again.0[0].1), names(&labels), "{}", line.escape_ascii());
    }
}

/// Panics if the OpenMetrics parser contradicts itself.
pub(crate) fn check_openmetrics(data: &[u8]) {
    let plain = parse(data, Format::OpenMetrics, ParserOptions::default());
    let options = ParserOptions { start_timestamps: true, ..ParserOptions::default() };
    let mut with_starts = parse(data, Format::OpenMetrics, options);
    assert_eq!(plain.1, with_starts.1);
    // Start timestamps remove samples and change no others.
    for series in plain.0 {
        if with_starts.0.first() == Some(&series) {
            with_starts.0.remove(0);
        } else {
            let name = series.1.iter().find(|(name, _)| name == "__name__");
            assert!(name.is_some_and(|(_, name)| name.ends_with("_created")), "{series:?}");
        }
    }
    assert_eq!(with_starts.0, []);
}

fn names(labels: &[(String, String)]) -> Vec<&str> {
    labels.iter().map(|(name, _)| name.as_str()).collect()
}

fn parse(body: &[u8], format: Format, options: ParserOptions) -> (Vec<Series>, Option<ParseError>) {
    let mut parser = open_parser(body, format, options);
    let mut labels = LabelBuffer::new();
    let mut exemplar = ExemplarEntry::default();
    let mut found = Vec::new();
    loop {
        match parser.next_entry() {
            Ok(None) => return (found, None),
            Ok(Some(EntryKind::Metadata)) => _ = parser.metadata(),
            Ok(Some(EntryKind::Series)) => {
                let series = parser.series();
                let EntryValue::Float(value) = series.value else {
                    panic!("text formats have no histograms");
                };
                parser.labels(&mut labels);
                assert!(labels.iter().is_sorted_by_key(|(name, _)| name));
                assert!(labels.get("__name__").is_some());
                _ = parser.exemplar(0, &mut exemplar);
                assert!(!parser.exemplar(1, &mut exemplar));
                let pairs = labels.iter().map(|(name, value)| (name.into(), value.into()));
                found.push((series.key.to_vec(), pairs.collect(), value.to_bits()));
            }
            Err(error) => {
                let ParseError::Text { line, column, excerpt, .. } = &error else {
                    panic!("error of another format: {error}");
                };
                let lines = 1 + body.iter().filter(|byte| **byte == b'\n').count();
                assert!((1..=lines).contains(line), "{error}");
                assert!((1..=body.len() + 1).contains(column), "{error}");
                assert!(excerpt.len() <= 240, "{error}");
                return (found, Some(error));
            }
        }
    }
}
