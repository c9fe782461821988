//! Encoder for histogram records; [`crate::tsdb::wal::record::histograms`] has format and decoder.
//!
//! The caller selects the record type. Types 7 and 8 accept histograms with custom buckets, as
//! their decoder does, because older versions of Prometheus wrote these.

use crate::model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
};
use crate::tsdb::encoding::byte_reader::{put_be_i64, put_be_u64, put_uvarint, put_varint};
use crate::tsdb::wal::record::histograms::RefHistogram;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::{EntryBase, EntryHeader};

/// Layout of the entry headers of a histogram record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramLayout {
    /// Types 7 and 8, without start timestamps.
    Exponential,
    /// Types 9 and 10, without start timestamps.
    Custom,
    /// Types 12 and 13, with start timestamps.
    WithSt,
}

impl HistogramLayout {
    /// Returns the layout of records of a type, or `None` if they do not hold histograms.
    #[must_use]
    pub fn from_record_type(record_type: RecordType) -> Option<Self> {
        match record_type {
            RecordType::Histograms | RecordType::FloatHistograms => Some(Self::Exponential),
            RecordType::CustomHistograms | RecordType::CustomFloatHistograms => Some(Self::Custom),
            RecordType::HistogramsV2 | RecordType::FloatHistogramsV2 => Some(Self::WithSt),
            _ => None,
        }
    }
}

/// Appends a record of integer histograms (types 7, 9 and 12) to `out`, byte for byte as Prometheus
/// does.
pub fn encode_histograms(
    out: &mut Vec<u8>,
    layout: HistogramLayout,
    entries: &[RefHistogram<Histogram>],
) {
    let record_type = match layout {
        HistogramLayout::Exponential => RecordType::Histograms,
        HistogramLayout::Custom => RecordType::CustomHistograms,
        HistogramLayout::WithSt => RecordType::HistogramsV2,
    };
    encode(out, record_type, entries, put_histogram);
}

/// Appends a record of float histograms (types 8, 10 and 13) to `out`, byte for byte as Prometheus
/// does.
pub fn encode_float_histograms(
    out: &mut Vec<u8>,
    layout: HistogramLayout,
    entries: &[RefHistogram<FloatHistogram>],
) {
    let record_type = match layout {
        HistogramLayout::Exponential => RecordType::FloatHistograms,
        HistogramLayout::Custom => RecordType::CustomFloatHistograms,
        HistogramLayout::WithSt => RecordType::FloatHistogramsV2,
    };
    encode(out, record_type, entries, put_float_histogram);
}

type PutFn<H> = fn(&mut Vec<u8>, &H);

fn encode<H>(
    out: &mut Vec<u8>,
    record_type: RecordType,
    entries: &[RefHistogram<H>],
    put: PutFn<H>,
) {
    out.push(record_type.as_byte());
    if HistogramLayout::from_record_type(record_type) == Some(HistogramLayout::WithSt) {
        let mut times = None;
        for RefHistogram { series, start_timestamp: start, t, histogram } in entries {
            EntryBase::write(
                &mut times,
                out,
                EntryHeader { series: *series, t: *t, start_timestamp: *start },
            );
            put(out, histogram);
        }
        return;
    }
    let Some(first) = entries.first() else { return };
    put_be_u64(out, first.series.0);
    put_be_i64(out, first.t);
    for RefHistogram { series, t, histogram, .. } in entries {
        put_varint(out, series.0.wrapping_sub(first.series.0) as i64);
        put_varint(out, t.wrapping_sub(first.t));
        put(out, histogram);
    }
}

/// Appends an integer histogram in record format.
pub fn put_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    put_header(out, histogram.reset_hint, histogram.schema, histogram.zero_threshold);
    put_uvarint(out, histogram.zero_count);
    put_uvarint(out, histogram.count);
    put_f64(out, &histogram.sum);
    put_list(out, &histogram.positive_spans, put_span);
    put_list(out, &histogram.negative_spans, put_span);
    put_list(out, &histogram.positive_buckets, |out, &count| put_varint(out, count));
    put_list(out, &histogram.negative_buckets, |out, &count| put_varint(out, count));
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        put_list(out, &histogram.custom_values, put_f64);
    }
}

/// Appends a float histogram in record format.
pub fn put_float_histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    put_header(out, histogram.reset_hint, histogram.schema, histogram.zero_threshold);
    put_f64(out, &histogram.zero_count);
    put_f64(out, &histogram.count);
    put_f64(out, &histogram.sum);
    put_list(out, &histogram.positive_spans, put_span);
    put_list(out, &histogram.negative_spans, put_span);
    put_list(out, &histogram.positive_buckets, put_f64);
    put_list(out, &histogram.negative_buckets, put_f64);
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        put_list(out, &histogram.custom_values, put_f64);
    }
}

fn put_header(out: &mut Vec<u8>, hint: CounterResetHint, schema: i32, zero_threshold: f64) {
    out.push(hint.as_byte());
    put_varint(out, i64::from(schema));
    put_f64(out, &zero_threshold);
}

fn put_span(out: &mut Vec<u8>, span: &Span) {
    put_varint(out, i64::from(span.offset));
    put_uvarint(out, u64::from(span.length));
}

fn put_f64(out: &mut Vec<u8>, value: &f64) {
    put_be_u64(out, value.to_bits());
}

fn put_list<T>(out: &mut Vec<u8>, values: &[T], put: fn(&mut Vec<u8>, &T)) {
    put_uvarint(out, values.len() as u64);
    values.iter().for_each(|value| put(out, value));
}

#[cfg(test)]
mod tests {
    use super::{HistogramLayout, encode_float_histograms, encode_histograms};
    use crate::model::histogram::{
        CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
    };
    use crate::model::refs::SeriesRef;
    use crate::tsdb::wal::record::histograms::{
        RefHistogram, decode_float_histograms, decode_histograms,
    };
    use crate::tsdb::wal::record::record_type::RecordType;
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    const LAYOUTS: [HistogramLayout; 3] =
        [HistogramLayout::Exponential, HistogramLayout::Custom, HistogramLayout::WithSt];

    fn entries() -> impl Strategy<Value = Vec<RefHistogram<Histogram>>> {
        let lists = (
            proptest::collection::vec((any::<i32>(), any::<u32>()), 0..4),
            proptest::collection::vec(any::<i64>(), 0..6),
            proptest::collection::vec(-9.0..9.0f64, 0..4),
        );
        let entry = (
            any::<u64>(),
            any::<i64>(),
            0i64..3,
            0u8..4,
            any::<bool>(),
            any::<u64>(),
            -1e9..1e9f64,
            lists,
        );
        let entry =
            entry.prop_map(|(n, t, start, hint, custom, count, sum, (spans, buckets, bounds))| {
                RefHistogram {
                    series: SeriesRef(n),
                    start_timestamp: start * 1_000_003,
                    t,
                    histogram: Histogram {
                        reset_hint: CounterResetHint::from_byte(hint).unwrap(),
                        schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { 3 },
                        zero_threshold: sum / 7.0,
                        zero_count: count / 3,
                        count,
                        sum,
                        positive_spans: spans
                            .iter()
                            .map(|&(offset, length)| Span { offset, length })
                            .collect(),
                        negative_spans: spans
                            .iter()
                            .rev()
                            .map(|&(offset, length)| Span { offset, length })
                            .collect(),
                        negative_buckets: buckets.iter().rev().copied().collect(),
                        positive_buckets: buckets,
                        custom_values: if custom { bounds } else { Vec::new() },
                    },
                }
            });
        proptest::collection::vec(entry, 0..6)
    }

    fn as_float(entry: &RefHistogram<Histogram>) -> RefHistogram<FloatHistogram> {
        let histogram = &entry.histogram;
        let floats = |counts: &[i64]| counts.iter().map(|&count| count as f64).collect();
        RefHistogram {
            series: entry.series,
            start_timestamp: entry.start_timestamp,
            t: entry.t,
            histogram: FloatHistogram {
                reset_hint: histogram.reset_hint,
                schema: histogram.schema,
                zero_threshold: histogram.zero_threshold,
                zero_count: histogram.zero_count as f64,
                count: histogram.count as f64,
                sum: histogram.sum,
                positive_spans: histogram.positive_spans.clone(),
                negative_spans: histogram.negative_spans.clone(),
                positive_buckets: floats(&histogram.positive_buckets),
                negative_buckets: floats(&histogram.negative_buckets),
                custom_values: histogram.custom_values.clone(),
            },
        }
    }

    proptest! {
        #[test]
        fn encoded_histograms_decode(entries in entries(), layout in 0usize..3) {
            let layout = LAYOUTS[layout];
            let mut entries = entries;
            if layout != HistogramLayout::WithSt {
                entries.iter_mut().for_each(|entry| entry.start_timestamp = 0);
            }
            let mut record = Vec::new();
            encode_histograms(&mut record, layout, &entries);
            let record_type = RecordType::from_record(&record);
            prop_assert_eq!(HistogramLayout::from_record_type(record_type), Some(layout));
            prop_assert_eq!(decode_histograms(&record).unwrap(), entries.clone());
            let entries: Vec<_> = entries.iter().map(as_float).collect();
            record.clear();
            encode_float_histograms(&mut record, layout, &entries);
            let record_type = RecordType::from_record(&record);
            prop_assert_eq!(HistogramLayout::from_record_type(record_type), Some(layout));
            prop_assert_eq!(decode_float_histograms(&record).unwrap(), entries);
        }
    }
}
