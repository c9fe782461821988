//! Protobuf exposition: arbitrary bodies end with an error within the body, or every entry is
//! complete.

use narthex::exposition::entry::{EntryKind, EntryValue, ExemplarEntry};
use narthex::exposition::format::Format;
use narthex::exposition::label_buffer::LabelBuffer;
use narthex::exposition::open::open_parser;
use narthex::exposition::parse_error::ParseError;
use narthex::exposition::parser::{Parser, ParserOptions};
use narthex::model::histogram::limits::HistogramLimits;
use narthex::model::sample::SampleValue;

/// Bucket limit under which histograms are reduced.
const MAX_BUCKETS: usize = 4;

/// Panics if an entry is incomplete, or if an error has no place within the body.
pub(crate) fn check(data: &[u8]) {
    for bits in 0..8u8 {
        let options = ParserOptions {
            start_timestamps: true,
            ignore_native_histograms: bits & 1 != 0,
            convert_classic_histograms: bits & 2 != 0,
            keep_classic_histograms: bits & 4 != 0,
        };
        let mut parser = open_parser(data, Format::Protobuf, options);
        if let Err(error) = check_entries(&mut *parser, options) {
            let ParseError::Protobuf { offset, .. } = &error else { panic!("{error}") };
            assert!(*offset <= data.len(), "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

fn check_entries(parser: &mut dyn Parser, options: ParserOptions) -> Result<(), ParseError> {
    let mut labels = LabelBuffer::new();
    let mut exemplar = ExemplarEntry::default();
    while let Some(kind) = parser.next_entry()? {
        if kind == EntryKind::Metadata {
            assert!(!parser.metadata().family.is_empty());
            assert!(parser.series().key.is_empty());
            continue;
        }
        let series = parser.series();
        parser.labels(&mut labels);
        assert!(labels.iter().all(|(name, _)| !name.is_empty()));
        assert!(labels.iter().is_sorted_by_key(|(name, _)| name));
        let name = labels.get("__name__").expect("a series has a name");
        assert!(series.key.starts_with(name.as_bytes()) || labels.len() > 1);
        let is_native = !matches!(series.value, EntryValue::Float(_));
        if is_native {
            let makes_native = !options.ignore_native_histograms;
            assert!(makes_native || options.convert_classic_histograms);
            check_histogram(series.value.to_sample_value());
        }
        for index in 0.. {
            if !parser.exemplar(index, &mut exemplar) {
                break;
            }
            assert!(!is_native || exemplar.timestamp.is_some());
        }
    }
    Ok(())
}

/// Checks that spans and buckets match, and that limits hold.
fn check_histogram(value: SampleValue) {
    let has_matching_spans = match &value {
        SampleValue::Float(_) => true,
        SampleValue::Histogram(h) => {
            h.iter_positive().count() == h.positive_buckets.len()
                && h.iter_negative().count() == h.negative_buckets.len()
        }
        SampleValue::FloatHistogram(h) => {
            h.iter_positive().count() == h.positive_buckets.len()
                && h.iter_negative().count() == h.negative_buckets.len()
        }
    };
    assert!(has_matching_spans, "{value:?}");
    let mut limited = value;
    if limited.limit_scraped(HistogramLimits::new(1.1, MAX_BUCKETS)).is_ok() {
        let buckets = match &limited {
            SampleValue::Float(_) => 0,
            SampleValue::Histogram(h) => h.positive_buckets.len() + h.negative_buckets.len(),
            SampleValue::FloatHistogram(h) => h.positive_buckets.len() + h.negative_buckets.len(),
        };
        assert!(buckets <= MAX_BUCKETS, "{limited:?}");
    }
}
