//! Comparison with prost: the index accepts the same bytes and decodes the same content.

use crate::ingest::request_series::RequestSeries;
use crate::model::exemplar::Exemplar;
use crate::model::labels::{BuildLabelsError, LabelsBuilder};
use crate::model::metadata::Metadata;
use crate::model::sample::SampleValue;
use crate::remote::pb::io::prometheus::write::v2 as pb;
use crate::remote::pb::prometheus as pb1;
use crate::remote::wire::exemplar::ExemplarError;
use crate::remote::wire::symbol_ref_error::SymbolRefError;
use crate::remote::write::decode_error::DecodeWriteRequestError;
use crate::remote::write::limits::CountLimits;
use crate::remote::write::v2::request_index::{RequestIndexV2, RequestLimitsV2};
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use prost::Message;

const NO_LIMITS: RequestLimitsV2 = RequestLimitsV2 {
    counts: CountLimits { series: u64::MAX, samples: u64::MAX },
    text_bytes: usize::MAX,
};

/// Content that both decoders must agree on.
#[derive(Debug, PartialEq)]
struct SeriesContent {
    labels: Result<Vec<(String, String)>, SymbolRefError>,
    /// Timestamp, start timestamp and value bits.
    samples: Vec<(i64, i64, u64)>,
    exemplars: Vec<Result<Exemplar, ExemplarError>>,
    /// Histograms as 1.0 decodes the same fields, with the start timestamp.
    histograms: Vec<(i64, String)>,
    metadata: Result<Option<Metadata>, SymbolRefError>,
}

fn text(symbols: &[String], reference: u32) -> Result<String, SymbolRefError> {
    let outside = SymbolRefError::Outside { reference, symbols: symbols.len() };
    symbols.get(reference as usize).cloned().ok_or(outside)
}

fn pairs(symbols: &[String], refs: &[u32]) -> Result<Vec<(String, String)>, SymbolRefError> {
    if refs.len() % 2 == 1 {
        return Err(SymbolRefError::Odd(refs.len()));
    }
    refs.chunks(2).map(|pair| Ok((text(symbols, pair[0])?, text(symbols, pair[1])?))).collect()
}

/// Resolves and checks the labels of an exemplar, one after the other.
fn exemplar_of(symbols: &[String], message: &pb::Exemplar) -> Result<Exemplar, ExemplarError> {
    let mut pairs = Vec::new();
    let mut bytes = 0;
    for (i, pair) in message.labels_refs.chunks(2).enumerate() {
        let [name, value] = pair else { return Err(SymbolRefError::Odd(2 * i + 1).into()) };
        pairs.push((text(symbols, *name)?, text(symbols, *value)?));
        let (name, value) = &pairs[i];
        bytes += if value.is_empty() { 0 } else { name.len() + value.len() };
        if pairs.len() > 512 || bytes > 512 {
            return Err(ExemplarError::TooLong);
        }
    }
    let texts = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = match texts.collect::<LabelsBuilder<'_>>().build() {
        Ok(labels) => Some(labels),
        Err(BuildLabelsError::Empty) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Exemplar { t: message.timestamp, v: message.value, labels })
}

/// Decodes the histogram as 1.0, whose decoder has its own tests.
fn histogram_of(message: &pb::Histogram) -> (i64, String) {
    let as_v1 = pb1::Histogram::decode(&message.encode_to_vec()[..]).unwrap();
    let series = pb1::TimeSeries { histograms: vec![as_v1], ..Default::default() };
    let body = pb1::WriteRequest { timeseries: vec![series], metadata: Vec::new() }.encode_to_vec();
    let mut index = crate::remote::write::v1::request_index::RequestIndexV1::default();
    let request = index.validate(&body, NO_LIMITS.counts).unwrap();
    let read = request.series().next().unwrap().histograms().next().unwrap();
    let start = if read.is_ok() { message.start_timestamp } else { 0 };
    (start, described(read.map(|point| (point.t, point.value)).map_err(|bad| format!("{bad:?}"))))
}

fn described(histogram: Result<(i64, SampleValue), String>) -> String {
    format!("{histogram:?}")
}

fn metadata_of(
    symbols: &[String],
    message: &pb::Metadata,
) -> Result<Option<Metadata>, SymbolRefError> {
    use crate::model::metadata::MetricType;
    let metric_type = match message.r#type {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::Stateset,
        _ => MetricType::Unknown,
    };
    let (unit, help) = (text(symbols, message.unit_ref)?, text(symbols, message.help_ref)?);
    let found = Metadata { metric_type, unit, help };
    Ok(if found == Metadata::default() { None } else { Some(found) })
}

fn borrowed(body: &[u8]) -> Option<Vec<SeriesContent>> {
    let mut index = RequestIndexV2::default();
    let request = match index.validate(body, NO_LIMITS) {
        Ok(request) => request,
        Err(DecodeWriteRequestError::MalformedV2(_)) => return None,
        Err(other) => panic!("{other}"),
    };
    let mut buffer = Vec::new();
    let series = request.series().map(|series| {
        let series = series.with_label_bytes(&mut buffer);
        assert_eq!(series.samples().len(), series.samples().count());
        assert_eq!(series.histograms().len(), series.histograms().count());
        assert_eq!(series.exemplars().len(), series.exemplars().count());
        let pairs = || series.labels().map(|(name, value)| (name.to_owned(), value.to_owned()));
        if let Some(packed) = series.label_bytes() {
            let alone = pb1::TimeSeries::decode(packed).unwrap();
            assert!(alone.labels.into_iter().map(|label| (label.name, label.value)).eq(pairs()));
            // The label bytes of a canonical set equal the encoded set.
            let texts: Vec<_> = pairs().collect();
            if texts.windows(2).all(|pair| pair[0].0 < pair[1].0) && !texts.is_empty() {
                let labels = series.labels().collect::<LabelsBuilder<'_>>().build().unwrap();
                assert_eq!(labels.as_bytes(), packed);
            }
        }
        SeriesContent {
            labels: match series.label_error() {
                Some(bad) => Err(bad),
                None => Ok(pairs().collect()),
            },
            samples: series
                .samples()
                .map(|point| match point.value {
                    SampleValue::Float(v) => (point.t, point.start_timestamp, v.to_bits()),
                    other => panic!("{other:?} is not a float"),
                })
                .collect(),
            exemplars: series
                .exemplars()
                .map(|exemplar| exemplar.map_err(|bad| bad.reason))
                .collect(),
            histograms: series
                .histograms()
                .map(|read| {
                    let start = read.as_ref().map_or(0, |point| point.start_timestamp);
                    (
                        start,
                        described(
                            read.map(|point| (point.t, point.value))
                                .map_err(|bad| format!("{bad:?}")),
                        ),
                    )
                })
                .collect(),
            metadata: series.metadata().map(|found| found.map(|found| found.to_metadata())),
        }
    });
    Some(series.collect())
}

fn by_prost(body: &[u8]) -> Option<Vec<SeriesContent>> {
    let request = pb::Request::decode(body).ok()?;
    let symbols = &request.symbols;
    let series = request.timeseries.iter().map(|series| SeriesContent {
        labels: pairs(symbols, &series.labels_refs),
        samples: series
            .samples
            .iter()
            .map(|s| (s.timestamp, s.start_timestamp, s.value.to_bits()))
            .collect(),
        exemplars: series.exemplars.iter().map(|exemplar| exemplar_of(symbols, exemplar)).collect(),
        histograms: series.histograms.iter().map(histogram_of).collect(),
        metadata: series
            .metadata
            .as_ref()
            .map_or(Ok(None), |metadata| metadata_of(symbols, metadata)),
    });
    Some(series.collect())
}

fn symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just(String::new()),
        6 => "[a-z_]{1,12}",
        1 => ".{0,40}",
        1 => "[a-zé]{100,300}",
    ]
}

fn reference() -> impl Strategy<Value = u32> {
    prop_oneof![12 => 0..8u32, 1 => 8..200u32, 1 => any::<u32>()]
}

fn refs() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        5 => prop::collection::vec((0..6u32, 0..6u32), 0..5)
            .prop_map(|pairs| pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()),
        1 => prop::collection::vec(reference(), 0..6),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u64>().prop_map(f64::from_bits), Just(-0.0), Just(0.0)]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), 1_700_000_000_000..1_800_000_000_000i64, -5..5i64]
}

fn sample() -> impl Strategy<Value = pb::Sample> {
    let start = prop_oneof![Just(0), time()];
    (number(), time(), start).prop_map(|(value, timestamp, start_timestamp)| pb::Sample {
        value,
        timestamp,
        start_timestamp,
    })
}

fn histogram() -> impl Strategy<Value = pb::Histogram> {
    use pb::histogram::{Count, ZeroCount};
    let numbers = (any::<bool>(), -5..12i32, -1000..1000i32, 0..5i32, time(), time());
    (numbers, prop::collection::vec(0..1000u32, 0..6)).prop_map(|(numbers, counts)| {
        let (is_float, schema, offset, reset_hint, timestamp, start_timestamp) = numbers;
        let total: u32 = counts.iter().sum();
        let positive_spans = vec![pb::BucketSpan { offset, length: counts.len() as u32 }];
        let common = pb::Histogram {
            schema,
            reset_hint,
            timestamp,
            start_timestamp,
            positive_spans,
            ..Default::default()
        };
        if is_float {
            return pb::Histogram {
                count: Some(Count::CountFloat(total.into())),
                zero_count: Some(ZeroCount::ZeroCountFloat(0.5)),
                positive_counts: counts.iter().map(|&count| count.into()).collect(),
                ..common
            };
        }
        let before = std::iter::once(&0).chain(&counts);
        let deltas =
            counts.iter().zip(before).map(|(&now, &before)| i64::from(now) - i64::from(before));
        pb::Histogram {
            count: Some(Count::CountInt(total.into())),
            positive_deltas: deltas.collect(),
            ..common
        }
    })
}

fn series() -> impl Strategy<Value = pb::TimeSeries> {
    let exemplar = (refs(), number(), time())
        .prop_map(|(labels_refs, value, timestamp)| pb::Exemplar { labels_refs, value, timestamp });
    let metadata = (prop_oneof![0..9i32, any::<i32>()], reference(), reference())
        .prop_map(|(r#type, help_ref, unit_ref)| pb::Metadata { r#type, help_ref, unit_ref });
    (
        refs(),
        prop::collection::vec(sample(), 0..4),
        prop::collection::vec(histogram(), 0..2),
        prop::collection::vec(exemplar, 0..2),
        prop::option::of(metadata),
    )
        .prop_map(|(labels_refs, samples, histograms, exemplars, metadata)| pb::TimeSeries {
            labels_refs,
            samples,
            histograms,
            exemplars,
            metadata,
        })
}

fn request() -> impl Strategy<Value = pb::Request> {
    (prop::collection::vec(symbol(), 0..9), prop::collection::vec(series(), 0..4))
        .prop_map(|(symbols, timeseries)| pb::Request { symbols, timeseries })
}

/// Corruption of an encoded body.
#[derive(Debug, Clone)]
enum Mutation {
    Set(usize, u8),
    Flip(usize, u32),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Cut(usize),
    /// Copies a range of the body to another offset.
    Copy(usize, usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    // Meaningful bytes: keys of known fields with right and wrong wire types, groups, ends of
    // varints.
    let telling = prop_oneof![
        Just(vec![0x22, 0x00]),
        Just(vec![0x22, 0x01, 0x61]),
        Just(vec![0x22, 0x01, 0xff]),
        Just(vec![0x2a, 0x00]),
        Just(vec![0x08, 0x01]),
        Just(vec![0x0a, 0x02, 0x01, 0x02]),
        Just(vec![0x0a, 0x02, 0x81, 0x00]),
        Just(vec![0x0a, 0x01, 0x81]),
        Just(vec![0x0d, 0, 0, 0, 0]),
        Just(vec![0x2a, 0x02, 0x08, 0x03]),
        Just(vec![0x2a, 0x02, 0x18, 0x01]),
        Just(vec![0x12, 0x02, 0x18, 0x05]),
        Just(vec![0x88, 0x01, 0x07]),
        Just(vec![0x8a, 0x01, 0x00]),
        Just(vec![0x0b, 0x0c]),
        Just(vec![0x33, 0x34]),
        Just(vec![0x80, 0x00]),
        Just(vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at.clone(), 0..8u32).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at.clone(), telling).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at.clone(), 1..4usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        at.clone().prop_map(Mutation::Cut),
        (at.clone(), 1..40usize, at).prop_map(|(from, count, to)| Mutation::Copy(from, count, to)),
    ]
}

fn mutate(body: &mut Vec<u8>, mutation: Mutation) {
    let len = body.len() + 1;
    match mutation {
        Mutation::Set(at, byte) => {
            if let Some(place) = body.get_mut(at % len) {
                *place = byte;
            }
        }
        Mutation::Flip(at, bit) => {
            if let Some(place) = body.get_mut(at % len) {
                *place ^= 1 << bit;
            }
        }
        Mutation::Insert(at, bytes) => drop(body.splice(at % len..at % len, bytes)),
        Mutation::Remove(at, count) => {
            let from = at % len;
            drop(body.drain(from..(from + count).min(len - 1)));
        }
        Mutation::Cut(at) => body.truncate(at % len),
        Mutation::Copy(from, count, to) => {
            let from = from % len;
            let piece = body[from..(from + count).min(len - 1)].to_vec();
            drop(body.splice(to % len..to % len, piece));
        }
    }
}

proptest! {
    #[test]
    fn request_equals_prost_decoding(request in request()) {
        let body = request.encode_to_vec();
        let content = borrowed(&body);
        prop_assert!(content.is_some());
        prop_assert_eq!(content, by_prost(&body));
    }

    #[test]
    fn corrupted_request_is_handled_as_by_prost(
        request in request(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut body = request.encode_to_vec();
        mutations.into_iter().for_each(|mutation| mutate(&mut body, mutation));
        prop_assert_eq!(borrowed(&body), by_prost(&body));
    }

    #[test]
    fn fields_in_any_order_equal_prost_decoding(
        symbols in prop::collection::vec(symbol(), 0..6),
        parts in prop::collection::vec(series(), 0..4),
        unpacked_refs in prop::collection::vec(reference(), 0..4),
        corruption in prop::option::of(mutation()),
    ) {
        let mut series: Vec<u8> = parts.iter().flat_map(Message::encode_to_vec).collect();
        for reference in unpacked_refs {
            series.push(0x08);
            prost::encoding::encode_varint(u64::from(reference) | 7 << 32, &mut series);
        }
        if let Some(corruption) = corruption {
            mutate(&mut series, corruption);
        }
        // The series precedes the symbols.
        let mut body = vec![0x2a];
        prost::encoding::encode_varint(series.len() as u64, &mut body);
        body.extend(series);
        body.extend(pb::Request { symbols, timeseries: Vec::new() }.encode_to_vec());
        prop_assert_eq!(borrowed(&body), by_prost(&body));
    }

    #[test]
    fn arbitrary_bytes_are_handled_as_by_prost(
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        prop_assert_eq!(borrowed(&body), by_prost(&body));
    }
}

/// Encodes a request whose `series` series each refer to every symbol `repeats` times.
fn amplified(symbols: Vec<String>, series: usize, repeats: u32) -> Vec<u8> {
    let refs: Vec<u32> = (0..repeats).flat_map(|_| 0..symbols.len() as u32).collect();
    let one = pb::TimeSeries {
        labels_refs: refs,
        samples: vec![pb::Sample::default()],
        ..Default::default()
    };
    pb::Request { symbols, timeseries: vec![one; series] }.encode_to_vec()
}

#[test]
fn resolved_size_is_limited() {
    let mut index = RequestIndexV2::default();
    let body = amplified(vec!["n".repeat(100), "v".repeat(900)], 10, 1);
    let read = |index: &mut RequestIndexV2, text_bytes| {
        index.validate(&body, RequestLimitsV2 { text_bytes, ..NO_LIMITS }).map(drop)
    };
    assert_eq!(read(&mut index, 10_000), Ok(()));
    assert_eq!(read(&mut index, 9_999), Err(DecodeWriteRequestError::TooMuchText(9_999)));
    let help = pb::Request {
        symbols: vec![String::new(), "h".repeat(1000)],
        timeseries: vec![
            pb::TimeSeries {
                metadata: Some(pb::Metadata { help_ref: 1, unit_ref: 1, ..Default::default() }),
                ..Default::default()
            };
            5
        ],
    };
    let body = help.encode_to_vec();
    let mut validate =
        |text_bytes| index.validate(&body, RequestLimitsV2 { text_bytes, ..NO_LIMITS }).map(drop);
    assert_eq!(validate(10_000), Ok(()));
    assert_eq!(validate(9_999), Err(DecodeWriteRequestError::TooMuchText(9_999)));
}

#[test]
fn series_samples_and_symbols_are_limited() {
    let mut index = RequestIndexV2::default();
    let body = amplified(vec!["a".into(), "b".into()], 3, 1);
    let bounds =
        |series, samples| RequestLimitsV2 { counts: CountLimits { series, samples }, ..NO_LIMITS };
    let mut validate =
        |body: &[u8], series, samples| index.validate(body, bounds(series, samples)).map(drop);
    assert_eq!(validate(&body, 3, 3), Ok(()));
    assert_eq!(validate(&body, 2, 3), Err(DecodeWriteRequestError::TooManySeries(2)));
    assert_eq!(validate(&body, 3, 2), Err(DecodeWriteRequestError::TooManySamples(2)));
    let symbols = |count| {
        pb::Request { symbols: vec![String::new(); count], ..Default::default() }.encode_to_vec()
    };
    assert_eq!(validate(&symbols(4096 + 16), 1, 1), Ok(()));
    let refused = validate(&symbols(4096 + 17), 1, 1);
    assert_eq!(refused, Err(DecodeWriteRequestError::TooManySymbols(4096 + 16)));
}

#[test]
fn labels_are_encoded_up_to_a_size() {
    let mut index = RequestIndexV2::default();
    let body = amplified(vec!["n".repeat(1000), "v".repeat(2000)], 1, 1000);
    let request = index.validate(&body, NO_LIMITS).unwrap();
    let mut buffer = Vec::new();
    let series = request.series().next().unwrap().with_label_bytes(&mut buffer);
    assert_eq!(series.label_bytes(), None);
    assert_eq!(series.labels().count(), 1000);
    assert!(buffer.capacity() <= 4 << 20, "{}", buffer.capacity());
}

#[test]
fn reused_index_forgets_the_previous_request() {
    let mut index = RequestIndexV2::default();
    let large = amplified(vec!["name".into(), "value".into()], 50, 1);
    let request = index.validate(&large, NO_LIMITS).unwrap();
    assert_eq!((request.series().len(), request.symbols().len()), (50, 2));
    assert!(index.retained_bytes() > 0);
    let request = index.validate(&[], NO_LIMITS).unwrap();
    assert_eq!(
        (request.series().len(), request.symbols().is_empty(), request.has_exemplars()),
        (0, true, false)
    );
}

#[test]
fn recorded_requests_equal_prost_decoding() {
    for (kind, has_starts) in [("rw2", false), ("rw2-st", true)] {
        let mut starts = 0;
        for number in ["00", "01", "02", "03", "15", "16"] {
            let path =
                format!("{}/tests/golden/wire/{kind}/{number}.body", env!("CARGO_MANIFEST_DIR"));
            let body =
                snap::raw::Decoder::new().decompress_vec(&std::fs::read(path).unwrap()).unwrap();
            let content = borrowed(&body).unwrap();
            assert!(content.len() > 20);
            assert_eq!(Some(&content), by_prost(&body).as_ref());
            for series in &content {
                assert!(series.labels.as_ref().unwrap().len() > 3);
                starts += series.samples.iter().filter(|sample| sample.1 != 0).count();
            }
        }
        assert_eq!(starts > 0, has_starts, "{kind}");
    }
}
