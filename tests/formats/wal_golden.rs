//! WAL reader and writer against WALs of Prometheus 3.14.0.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::golden;
use narthex::model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::refs::SeriesRef;
use narthex::tsdb::wal::compression::{Compressor, RecordCompression};
use narthex::tsdb::wal::corruption::{CorruptionExtent, WalCorruption};
use narthex::tsdb::wal::page::{
    Fragment, HEADER_SIZE, PAGE_SIZE, PageItem, append_record, padding_at, read_page_item,
};
use narthex::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use narthex::tsdb::wal::record::exemplars::{decode_exemplars, encode_exemplars};
use narthex::tsdb::wal::record::histogram_encoder::{
    HistogramLayout, encode_float_histograms, encode_histograms,
};
use narthex::tsdb::wal::record::histograms::{
    RefHistogram, decode_float_histograms, decode_histograms,
};
use narthex::tsdb::wal::record::metadata::{decode_metadata, encode_metadata};
use narthex::tsdb::wal::record::record_type::RecordType;
use narthex::tsdb::wal::record::samples::{SamplesDecoder, encode_samples, encode_samples_v2};
use narthex::tsdb::wal::record::series::{SeriesDecoder, encode_series};
use narthex::tsdb::wal::record::tombstones::{decode_tombstones, encode_tombstones};
use narthex::tsdb::wal::segment::list_segments;
use serde_json::{Value, json};

const VALID: [&str; 5] =
    ["wal-killed", "all-types-killed", "wal-zstd", "wal-uncompressed", "start-timestamps"];
const CORRUPTED: [&str; 4] =
    ["torn-tail", "torn-zeroed-tail", "torn-bitflip-last-segment", "torn-bitflip-first-segment"];

struct Case {
    _place: tempfile::TempDir,
    data: PathBuf,
    contents: Value,
}

impl Case {
    fn new(name: &str) -> Case {
        let temp_dir = tempfile::tempdir().unwrap();
        let data = golden::unpack(name, temp_dir.path());
        let contents: Value =
            serde_json::from_slice(&fs::read(golden::folder(name).join("contents.json")).unwrap())
                .unwrap();
        let contents = contents.get("as_given").cloned().unwrap_or(contents);
        Case { _place: temp_dir, data, contents }
    }

    fn records(&self) -> Vec<Vec<u8>> {
        let segments = list_segments(&self.data.join("wal")).unwrap();
        assert!(!segments.is_empty());
        segments.iter().flat_map(|segment| read(&segment.path).0).collect()
    }
}

/// Returns the records of a segment, and the corruption at which they end.
fn read(path: &Path) -> (Vec<Vec<u8>>, Option<Box<WalCorruption>>) {
    let segments = list_segments(path.parent().unwrap()).unwrap();
    let segment = segments.into_iter().find(|segment| segment.path == path).unwrap();
    let mut reader = LogSegmentReader::open(segment).unwrap();
    let mut records = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some(record)) => records.push(record.to_vec()),
            Ok(None) => return (records, None),
            Err(ReadLogError::Corrupted(corruption)) => return (records, Some(corruption)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Returns the compressed records of a segment without corruption.
fn stored_records(bytes: &[u8]) -> Vec<(Vec<u8>, RecordCompression)> {
    let mut records = Vec::new();
    let mut joined = Vec::new();
    for page in bytes.chunks(PAGE_SIZE) {
        let mut at = 0;
        while let Ok(PageItem::Fragment(Fragment { role, compression, data })) =
            read_page_item(&page[at..], PAGE_SIZE - at)
        {
            joined.extend_from_slice(data);
            if role.ends_record() {
                records.push((std::mem::take(&mut joined), compression));
            }
            at += HEADER_SIZE + data.len();
        }
        assert!(page[at..].iter().all(|&byte| byte == 0));
    }
    assert!(joined.is_empty());
    records
}

#[test]
fn record_counts_and_read_end_match_inspected_values() {
    for name in VALID.iter().chain(&CORRUPTED) {
        let case = Case::new(name);
        let segments = case.contents["wal"].as_object().unwrap();
        for (file, expected) in segments {
            let (records, corruption) = read(&case.data.join("wal").join(file));
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for record in &records {
                *counts.entry(RecordType::from_record(record).to_string()).or_default() += 1;
            }
            assert_eq!(json!(counts), expected["records"], "{name}/{file}");
            let stop = corruption.map(|corruption| corruption.offset);
            let expected_stop = expected["stops"]
                .as_str()
                .map(|stop| stop.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap());
            assert_eq!(stop, expected_stop, "{name}/{file}");
        }
    }
}

#[test]
fn torn_tail_and_flipped_bit_are_distinguished() {
    for (name, file, extent, good_end, reason) in [
        (
            "torn-tail",
            "00000001",
            CorruptionExtent::TornTail,
            49_950,
            "file ends within a fragment",
        ),
        ("torn-zeroed-tail", "00000001", CorruptionExtent::TornTail, 49_950, "checksum "),
        // The flipped bit is in the last fragment of a record that starts on the previous page.
        ("torn-bitflip-last-segment", "00000001", CorruptionExtent::Middle, 25_130, "checksum "),
        ("torn-bitflip-first-segment", "00000000", CorruptionExtent::Middle, 105_954, "checksum "),
    ] {
        let case = Case::new(name);
        let corruption = read(&case.data.join("wal").join(file)).1.unwrap();
        assert_eq!((corruption.extent, corruption.good_end), (extent, good_end), "{name}");
        assert!(corruption.reason.to_string().starts_with(reason), "{name}: {}", corruption.reason);
    }
}

#[test]
fn rewritten_records_have_same_segments() {
    for name in VALID {
        let case = Case::new(name);
        for segment in list_segments(&case.data.join("wal")).unwrap() {
            let bytes = fs::read(&segment.path).unwrap();
            let records = stored_records(&bytes);
            let expected = &case.contents["wal"][format!("{:08}", segment.number)];
            let mut out = Vec::new();
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for (data, compression) in &records {
                let offset = out.len() as u64;
                append_record(&mut out, offset, data, *compression);
                let name = match compression {
                    RecordCompression::None => "none",
                    RecordCompression::Snappy => "snappy",
                    RecordCompression::Zstd => "zstd",
                };
                *counts.entry(name).or_default() += 1;
            }
            assert_eq!(json!(counts), expected["compression"], "{name}/{}", segment.number);
            if bytes.len() % PAGE_SIZE == 0 {
                // A finished segment is padded.
                out.resize(out.len() + padding_at(out.len() as u64), 0);
            }
            assert!(out == bytes, "{name}/{}", segment.number);
        }
    }
}

#[test]
fn reencoded_records_have_same_bytes() {
    let mut checked: BTreeMap<String, u64> = BTreeMap::new();
    for record in VALID.iter().chain(&["deletes"]).flat_map(|name| Case::new(name).records()) {
        let kind = RecordType::from_record(&record);
        assert!(reencode(&record) == record, "{kind}");
        *checked.entry(kind.to_string()).or_default() += 1;
    }
    assert_eq!(checked.len(), 12, "all types except m-map markers: {checked:?}");
}

fn reencode(record: &[u8]) -> Vec<u8> {
    let mut again = Vec::new();
    let kind = RecordType::from_record(record);
    match kind {
        RecordType::Series => {
            let series: Vec<_> = SeriesDecoder::new(record).unwrap().map(Result::unwrap).collect();
            encode_series(&mut again, series.iter().map(|series| (series.series, &series.labels)));
        }
        RecordType::Samples => {
            let samples = SamplesDecoder::new(record).unwrap().map(Result::unwrap);
            encode_samples(&mut again, samples.map(|sample| (sample.series, sample.sample)));
        }
        RecordType::SamplesV2 => {
            encode_samples_v2(&mut again, SamplesDecoder::new(record).unwrap().map(Result::unwrap));
        }
        RecordType::Tombstones => encode_tombstones(&mut again, decode_tombstones(record).unwrap()),
        RecordType::Exemplars => encode_exemplars(&mut again, &decode_exemplars(record).unwrap()),
        RecordType::Metadata => encode_metadata(&mut again, &decode_metadata(record).unwrap()),
        RecordType::Histograms | RecordType::CustomHistograms | RecordType::HistogramsV2 => {
            let layout = HistogramLayout::from_record_type(kind).unwrap();
            encode_histograms(&mut again, layout, &decode_histograms(record).unwrap());
        }
        RecordType::FloatHistograms
        | RecordType::CustomFloatHistograms
        | RecordType::FloatHistogramsV2 => {
            let layout = HistogramLayout::from_record_type(kind).unwrap();
            encode_float_histograms(&mut again, layout, &decode_float_histograms(record).unwrap());
        }
        RecordType::MmapMarkers | RecordType::Unknown(_) => panic!("{kind}"),
    }
    again
}

#[test]
fn recompressed_snappy_records_have_same_bytes() {
    for name in VALID {
        let case = Case::new(name);
        for segment in list_segments(&case.data.join("wal")).unwrap() {
            let stored = stored_records(&fs::read(&segment.path).unwrap());
            let records = read(&segment.path).0;
            assert_eq!(stored.len(), records.len());
            let used =
                stored.iter().map(|(_, used)| *used).find(|used| *used != RecordCompression::None);
            let mut compressor = Compressor::new(used.unwrap_or(RecordCompression::None));
            for ((data, compression), record) in stored.iter().zip(&records) {
                let mut again = Vec::new();
                let used = compressor.append(record, &mut again);
                // zstd libraries may compress differently.
                if *compression == RecordCompression::Snappy {
                    assert_eq!(used, *compression, "{name}");
                    assert!(
                        again == *data,
                        "{name}: {} and {} bytes of {}",
                        again.len(),
                        data.len(),
                        record.len()
                    );
                }
            }
        }
    }
}

#[test]
fn wal_alone_contains_every_sample_of_prometheus() {
    for name in ["wal-uncompressed", "wal-zstd"] {
        let case = Case::new(name);
        let (found, expected) = (samples_of(&case.records()), expected_samples(name));
        let counts = |samples: &Samples| samples.values().map(BTreeMap::len).sum::<usize>();
        assert_eq!(
            counts(&expected) as u64,
            case.contents["readback"]["samples"].as_u64().unwrap()
        );
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
        for (labels, samples) in &expected {
            assert_eq!(&found[labels], samples, "{name}: {labels}");
        }
    }
}

#[test]
fn sample_records_v2_decode_start_timestamps() {
    let name = "start-timestamps";
    let (found, expected) = (samples_of(&Case::new(name).records()), expected_samples(name));
    let (mut compared, mut with_start) = (0, 0);
    for (labels, samples) in &found {
        for (t, sample) in samples {
            let expected = expected.get(labels).and_then(|samples| samples.get(t));
            assert_eq!(Some(sample), expected, "{labels} at {t}");
            compared += 1;
            with_start += usize::from(sample.get("st").is_some());
        }
    }
    assert!(
        compared > 8000 && with_start > 4000,
        "{compared} samples, {with_start} with start timestamp"
    );
}

#[test]
fn exemplars_and_metadata_match_prometheus() {
    let name = "all-types-killed";
    let records = Case::new(name).records();
    let of_kind =
        |kind| records.iter().filter(move |record| RecordType::from_record(record) == kind);
    let series: BTreeMap<SeriesRef, Labels> = of_kind(RecordType::Series)
        .flat_map(|record| SeriesDecoder::new(record).unwrap().map(Result::unwrap))
        .map(|series| (series.series, series.labels))
        .collect();
    let file = |file: &str| -> Value {
        serde_json::from_slice(&fs::read(golden::folder(name).join(file)).unwrap()).unwrap()
    };

    let mut found: Vec<_> = of_kind(RecordType::Exemplars)
        .flat_map(|record| decode_exemplars(record).unwrap())
        .map(|entry| (series[&entry.series].to_string(), entry.exemplar))
        .map(|(series, e)| (series, e.t, e.v.to_bits(), e.labels.unwrap().to_string()))
        .collect();
    let mut expected = Vec::new();
    for entry in file("exemplars.json")["data"].as_array().unwrap() {
        let series = label_set(&entry["seriesLabels"]);
        for exemplar in entry["exemplars"].as_array().unwrap() {
            let t = (exemplar["timestamp"].as_f64().unwrap() * 1000.0).round() as i64;
            let value: f64 = exemplar["value"].as_str().unwrap().parse().unwrap();
            expected.push((series.clone(), t, value.to_bits(), label_set(&exemplar["labels"])));
        }
    }
    found.sort();
    expected.sort();
    assert_eq!((found.len(), found), (640, expected));

    let last: BTreeMap<SeriesRef, _> = of_kind(RecordType::Metadata)
        .flat_map(|record| decode_metadata(record).unwrap())
        .map(|entry| (entry.series, entry.metadata))
        .collect();
    let expected = file("metadata.json");
    let expected = expected["last_per_series"].as_array().unwrap();
    assert_eq!(last.len(), expected.len());
    for entry in expected {
        let found = &last[&SeriesRef(entry["ref"].as_u64().unwrap())];
        assert_eq!(
            format!("{:?}", found.metric_type).to_lowercase(),
            entry["type"].as_str().unwrap()
        );
        assert_eq!(
            (json!(found.unit), json!(found.help)),
            (entry["unit"].clone(), entry["help"].clone())
        );
    }
}

fn label_set(pairs: &Value) -> String {
    let pairs = pairs
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    pairs.collect::<LabelsBuilder<'_>>().build().unwrap().to_string()
}

/// Samples of `expected.txt` by series and timestamp.
type Samples = BTreeMap<String, BTreeMap<i64, Value>>;

fn samples_of(records: &[Vec<u8>]) -> Samples {
    let mut labels: BTreeMap<SeriesRef, Labels> = BTreeMap::new();
    let mut samples = Samples::new();
    for record in records {
        let mut add = |series: SeriesRef, t: i64, start: i64, mut value: Value| {
            if start != 0 {
                value["st"] = json!(start);
            }
            samples.entry(labels[&series].to_string()).or_default().insert(t, value);
        };
        match RecordType::from_record(record) {
            RecordType::Series => {
                labels.extend(
                    SeriesDecoder::new(record)
                        .unwrap()
                        .map(Result::unwrap)
                        .map(|s| (s.series, s.labels)),
                );
            }
            RecordType::Samples | RecordType::SamplesV2 => {
                for sample in SamplesDecoder::new(record).unwrap().map(Result::unwrap) {
                    add(
                        sample.series,
                        sample.sample.t,
                        sample.start_timestamp,
                        json!({ "v": bits(sample.sample.v) }),
                    );
                }
            }
            RecordType::Histograms | RecordType::CustomHistograms | RecordType::HistogramsV2 => {
                for RefHistogram { series, start_timestamp: start, t, histogram } in
                    decode_histograms(record).unwrap()
                {
                    add(series, t, start, json!({ "h": integer(&histogram) }));
                }
            }
            RecordType::FloatHistograms
            | RecordType::CustomFloatHistograms
            | RecordType::FloatHistogramsV2 => {
                for RefHistogram { series, start_timestamp: start, t, histogram } in
                    decode_float_histograms(record).unwrap()
                {
                    add(series, t, start, json!({ "h": float(&histogram) }));
                }
            }
            _ => {}
        }
    }
    samples
}

fn expected_samples(name: &str) -> Samples {
    let text = fs::File::open(golden::folder(name).join("expected.txt.gz")).unwrap();
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(text)).unwrap();
    let mut samples = Samples::new();
    let mut series = String::new();
    for line in text.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if let Some(labels) = line.get("labels") {
            series = label_set(labels);
            continue;
        }
        let t = line.as_object_mut().unwrap().remove("t").unwrap().as_i64().unwrap();
        if let Some(histogram) = line.get_mut("h") {
            normalize(histogram);
        }
        samples.entry(series.clone()).or_default().insert(t, line);
    }
    samples
}

/// Removes what depends on the encoding of a histogram: buckets become index and count without
/// empty ones, and the reset hint becomes the gauge flag.
fn normalize(histogram: &mut Value) {
    let fields = histogram.as_object_mut().unwrap();
    for side in ["positive", "negative"] {
        let spans = fields.remove(&format!("{side}_spans")).unwrap();
        let counts = fields.remove(&format!("{side}_buckets")).unwrap();
        let spans = spans.as_array().unwrap().iter().map(|span| Span {
            offset: span[0].as_i64().unwrap() as i32,
            length: span[1].as_u64().unwrap() as u32,
        });
        let zero = |count: &Value| *count == json!(0) || *count == json!("0000000000000000");
        let buckets = indices(spans)
            .zip(counts.as_array().unwrap().clone())
            .filter(|(_, count)| !zero(count));
        fields.insert(side.to_owned(), json!(buckets.collect::<Vec<_>>()));
    }
    let gauge = fields.remove("reset_hint").unwrap() == json!("gauge");
    fields.insert("gauge".to_owned(), json!(gauge));
}

fn indices(spans: impl IntoIterator<Item = Span>) -> impl Iterator<Item = i32> {
    let mut next = 0;
    spans.into_iter().flat_map(move |span| {
        let start = next + span.offset;
        next = start + span.length as i32;
        start..next
    })
}

fn integer(h: &Histogram) -> Value {
    let absolute = |deltas: &[i64]| {
        let counts = deltas.iter().scan(0, |count, delta| {
            *count += delta;
            Some(*count)
        });
        json!(counts.collect::<Vec<i64>>())
    };
    let mut value = json!({
        "float": false, "schema": h.schema, "zero_threshold": bits(h.zero_threshold), "zero_count": h.zero_count,
        "count": h.count, "sum": bits(h.sum), "positive_spans": spans(&h.positive_spans), "negative_spans": spans(&h.negative_spans),
        "positive_buckets": absolute(&h.positive_buckets), "negative_buckets": absolute(&h.negative_buckets),
        "custom_values": all_bits(&h.custom_values), "reset_hint": hint(h.reset_hint),
    });
    normalize(&mut value);
    value
}

fn float(h: &FloatHistogram) -> Value {
    let mut value = json!({
        "float": true, "schema": h.schema, "zero_threshold": bits(h.zero_threshold), "zero_count": bits(h.zero_count),
        "count": bits(h.count), "sum": bits(h.sum), "positive_spans": spans(&h.positive_spans), "negative_spans": spans(&h.negative_spans),
        "positive_buckets": all_bits(&h.positive_buckets), "negative_buckets": all_bits(&h.negative_buckets),
        "custom_values": all_bits(&h.custom_values), "reset_hint": hint(h.reset_hint),
    });
    normalize(&mut value);
    value
}

fn hint(hint: CounterResetHint) -> &'static str {
    if hint == CounterResetHint::Gauge { "gauge" } else { "unknown" }
}

fn spans(spans: &[Span]) -> Vec<(i32, u32)> {
    spans.iter().map(|span| (span.offset, span.length)).collect()
}

fn all_bits(values: &[f64]) -> Vec<String> {
    values.iter().copied().map(bits).collect()
}

fn bits(value: f64) -> String {
    format!("{:016x}", value.to_bits())
}
