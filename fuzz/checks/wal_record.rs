//! WAL records: every decoder returns entries or an error, and the entries survive a rewrite.

use narthex::model::float_sample::FloatSample;
use narthex::model::refs::SeriesRef;
use narthex::tsdb::wal::record::error::DecodeRecordError;
use narthex::tsdb::wal::record::exemplars::decode_exemplars;
use narthex::tsdb::wal::record::histograms::{decode_float_histograms, decode_histograms};
use narthex::tsdb::wal::record::metadata::decode_metadata;
use narthex::tsdb::wal::record::mmap_markers::decode_mmap_markers;
use narthex::tsdb::wal::record::record_type::RecordType;
use narthex::tsdb::wal::record::samples::{RefSample, SamplesDecoder, encode_samples};
use narthex::tsdb::wal::record::series::{RefSeries, SeriesDecoder, encode_series};
use narthex::tsdb::wal::record::tombstones::decode_tombstones;

/// Panics if a decoder accepts another record type, returns more entries than the bytes can hold,
/// or entries that cannot be rewritten.
pub(crate) fn check(record: &[u8]) {
    let found = RecordType::from_record(record);
    let own = |kinds: &[RecordType]| kinds.contains(&found);
    check_type(own(&[RecordType::Series]), found, series(record));
    check_type(own(&[RecordType::Samples, RecordType::SamplesV2]), found, samples(record));
    // Each decoder with the size of its smallest entry, bytes.
    let rest = [
        (own(&[RecordType::Tombstones]), 10, decode_tombstones(record).map(|all| all.len())),
        (own(&[RecordType::Exemplars]), 11, decode_exemplars(record).map(|all| all.len())),
        (own(&[RecordType::MmapMarkers]), 16, decode_mmap_markers(record).map(|all| all.len())),
        (own(&[RecordType::Metadata]), 3, decode_metadata(record).map(|all| all.len())),
        (own(&HISTOGRAMS), 26, decode_histograms(record).map(|all| all.len())),
        (own(&FLOAT_HISTOGRAMS), 40, decode_float_histograms(record).map(|all| all.len())),
    ];
    for (own, least, entries) in rest {
        assert!(entries.as_ref().map_or(0, |entries| entries * least) <= record.len());
        check_type(own, found, entries.map(drop));
    }
}

const HISTOGRAMS: [RecordType; 3] =
    [RecordType::Histograms, RecordType::CustomHistograms, RecordType::HistogramsV2];
const FLOAT_HISTOGRAMS: [RecordType; 3] =
    [RecordType::FloatHistograms, RecordType::CustomFloatHistograms, RecordType::FloatHistogramsV2];

/// Checks that a decoder rejects other record types, and only those, as such.
fn check_type(own: bool, found: RecordType, outcome: Result<(), DecodeRecordError>) {
    let foreign = matches!(
        &outcome,
        Err(DecodeRecordError::UnexpectedType { found: named, .. }) if *named == found
    );
    assert_eq!(foreign, !own, "{found}: {outcome:?}");
}

fn series(record: &[u8]) -> Result<(), DecodeRecordError> {
    let decoded = all_series(record)?;
    let mut written = Vec::new();
    encode_series(&mut written, decoded.iter().map(|entry| (entry.series, &entry.labels)));
    assert!(decoded.iter().all(|entry| entry.series.0 != 0 && !entry.labels.is_empty()));
    assert_eq!(all_series(&written).as_ref(), Ok(&decoded));
    Ok(())
}

fn all_series(record: &[u8]) -> Result<Vec<RefSeries>, DecodeRecordError> {
    decode_until_error(SeriesDecoder::new(record)?, record.len() / 13)
}

fn samples(record: &[u8]) -> Result<(), DecodeRecordError> {
    let decoded = all_samples(record)?;
    let floats =
        |decoded: &[RefSample]| decoded.iter().map(|entry| (entry.series, entry.sample)).collect();
    let floats: Vec<(SeriesRef, FloatSample)> = floats(&decoded);
    let mut written = Vec::new();
    encode_samples(&mut written, floats.iter().copied());
    let again = all_samples(&written)?;
    assert!(again.iter().map(|entry| (entry.series, entry.sample)).eq(floats));
    assert!(again.iter().all(|entry| entry.start_timestamp == 0));
    if RecordType::from_record(record) == RecordType::Samples {
        assert_eq!(again, decoded);
    }
    Ok(())
}

fn all_samples(record: &[u8]) -> Result<Vec<RefSample>, DecodeRecordError> {
    let decoder = SamplesDecoder::new(record)?;
    let at_most = decoder.max_entries();
    decode_until_error(decoder, at_most)
}

/// Decodes all entries. There are at most `max_entries`, and none after an error.
fn decode_until_error<T>(
    mut decoder: impl Iterator<Item = Result<T, DecodeRecordError>>,
    at_most: usize,
) -> Result<Vec<T>, DecodeRecordError> {
    let mut entries = Vec::new();
    while let Some(entry) = decoder.next() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                assert!(decoder.next().is_none());
                return Err(error);
            }
        }
    }
    assert!(entries.len() <= at_most, "{} entries where {at_most} are the most", entries.len());
    Ok(entries)
}
