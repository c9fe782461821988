//! Segments truncated at any offset or with any flipped bit. The reader returns a prefix of the
//! written records.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use narthex::model::float_sample::FloatSample;
use narthex::model::labels::{Labels, LabelsBuilder};
use narthex::model::refs::SeriesRef;
use narthex::tsdb::wal::compression::{Compressor, RecordCompression};
use narthex::tsdb::wal::corruption::{CorruptionExtent, CorruptionReason, WalCorruption};
use narthex::tsdb::wal::page::{HEADER_SIZE, PAGE_SIZE, append_record, fits, padding_at};
use narthex::tsdb::wal::reader::{LogSegmentReader, ReadLogError};
use narthex::tsdb::wal::record::error::DecodeRecordError;
use narthex::tsdb::wal::record::record_type::RecordType;
use narthex::tsdb::wal::record::samples::{SamplesDecoder, encode_samples};
use narthex::tsdb::wal::record::series::{SeriesDecoder, encode_series};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

const ALL: [RecordCompression; 3] =
    [RecordCompression::None, RecordCompression::Snappy, RecordCompression::Zstd];

/// Segment, its records and their end offsets.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    records: Vec<Vec<u8>>,
    ends: Vec<usize>,
}

impl Written {
    fn push(&mut self, compressor: &mut Compressor, record: Vec<u8>) {
        let mut data = Vec::new();
        let compression = compressor.append(&record, &mut data);
        let offset = self.bytes.len() as u64;
        append_record(&mut self.bytes, offset, &data, compression);
        self.records.push(record);
        self.ends.push(self.bytes.len());
    }
}

/// Returns the records that a replay reads: up to the first one that is corrupted or does not
/// decode.
fn replay(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<WalCorruption>) {
    let mut reader = LogSegmentReader::from_bytes(bytes);
    let mut records = Vec::new();
    loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record.to_vec(),
            Ok(None) => return (records, None),
            Err(ReadLogError::Corrupted(corruption)) => return (records, Some(*corruption)),
            Err(error) => panic!("{error}"),
        };
        match decode(&record) {
            Ok(()) => records.push(record),
            Err(reason) => return (records, Some(reader.corruption_at_last_record(reason))),
        }
    }
}

fn decode(record: &[u8]) -> Result<(), CorruptionReason> {
    let decoded: Result<(), DecodeRecordError> = match RecordType::from_record(record) {
        RecordType::Series => SeriesDecoder::new(record)?.try_for_each(|series| series.map(drop)),
        RecordType::Samples => SamplesDecoder::new(record)?.try_for_each(|sample| sample.map(drop)),
        // A replay skips unknown types, which would be a silent loss here.
        _ => return Err(CorruptionReason::UnknownKind(record[0])),
    };
    Ok(decoded?)
}

fn labels(number: u64) -> Labels {
    let number = format!("{number:05}-{}", "x".repeat(number as usize % 50));
    let pairs = [("__name__", "requests_total"), ("instance", "host:9100"), ("number", &number)];
    pairs.into_iter().collect::<LabelsBuilder<'_>>().build().unwrap()
}

/// Writes a segment of slightly more than a page: series and samples in small records, and one
/// record across the end of the page.
fn segment(compression: RecordCompression) -> Written {
    let mut compressor = Compressor::new(compression);
    let mut written = Written::default();
    let mut random = 1u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut number = 0;
    while written.bytes.len() < PAGE_SIZE + 3000 {
        let count = if number % 90 == 0 { 300 } else { 1 + next() % 40 };
        let sets: Vec<_> =
            (number..=number + count % 29).map(|n| (SeriesRef(n + 1), labels(n))).collect();
        let mut series = Vec::new();
        encode_series(&mut series, sets.iter().map(|(n, set)| (*n, set)));
        written.push(&mut compressor, series);
        let mut samples = Vec::new();
        let values: Vec<_> = (0..count)
            .map(|n| {
                (SeriesRef(n + 1), FloatSample::new(1_700_000_000_000, f64::from_bits(next())))
            })
            .collect();
        encode_samples(&mut samples, values);
        written.push(&mut compressor, samples);
        number += 30;
    }
    written
}

#[test]
fn truncation_in_last_page_is_torn_tail() {
    for compression in ALL {
        let written = segment(compression);
        let first = (written.bytes.len() - 1) / PAGE_SIZE * PAGE_SIZE;
        for cut in first..written.bytes.len() {
            let (records, corruption) = replay(&written.bytes[..cut]);
            let complete = written.ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(records, written.records[..complete], "truncated at {cut}");
            let good_end = if complete == 0 { 0 } else { written.ends[complete - 1] };
            match corruption {
                None => assert_eq!(cut, good_end),
                Some(corruption) => {
                    assert_eq!(
                        (corruption.extent, corruption.good_end),
                        (CorruptionExtent::TornTail, good_end as u64),
                        "truncated at {cut}"
                    );
                }
            }
        }
    }
}

#[test]
fn zeroed_tail_is_torn_tail() {
    let written = segment(RecordCompression::Snappy);
    let last_start = written.ends[written.ends.len() - 2];
    for zeros_from in last_start..written.bytes.len() {
        let mut bytes = written.bytes.clone();
        bytes[zeros_from..].fill(0);
        let (records, corruption) = replay(&bytes);
        if bytes != written.bytes {
            assert_eq!(records, written.records[..written.records.len() - 1]);
        }
        // Zeros from the record header on are the same as the rest of a page.
        if let Some(corruption) = corruption {
            assert_eq!(
                corruption.extent,
                CorruptionExtent::TornTail,
                "zeros from {zeros_from} of {last_start}: {corruption}"
            );
        }
    }
}

#[test]
fn flipped_bit_keeps_earlier_records_and_alters_none() {
    for compression in ALL {
        let written = segment(compression);
        let mut bytes = written.bytes.clone();
        bytes.resize(bytes.len() + padding_at(bytes.len() as u64), 0);
        let mut undetected = 0;
        for byte in 0..bytes.len() {
            // All bits of record headers, and one bit of every tenth other byte.
            let start = written.ends.iter().rev().find(|&&end| end <= byte).copied().unwrap_or(0);
            let in_header = byte - start < HEADER_SIZE || byte % PAGE_SIZE < HEADER_SIZE;
            for bit in (0..8).filter(|bit| in_header || byte % 80 == 10 * bit) {
                bytes[byte] ^= 1 << bit;
                let (records, corruption) = replay(&bytes);
                bytes[byte] ^= 1 << bit;
                let prefix = written.records.get(..records.len());
                assert_eq!(Some(&records[..]), prefix, "bit {bit} of byte {byte}");
                match corruption {
                    Some(corruption) => {
                        let before = written.ends.iter().filter(|&&end| end <= byte).count();
                        assert_eq!(records.len(), before, "bit {bit} of byte {byte}: {corruption}");
                        assert_eq!(
                            corruption.good_end, start as u64,
                            "bit {bit} of byte {byte}: {corruption}"
                        );
                    }
                    None => {
                        assert_eq!(
                            records.len(),
                            written.records.len(),
                            "bit {bit} of byte {byte}"
                        );
                        undetected += 1;
                    }
                }
            }
        }
        // Unused bits of type bytes, the zstd flag in addition to the snappy flag, and the bits of
        // the first byte after the last record.
        let fragments = written.ends.len() + 2;
        assert!(undetected <= fragments * 4 + 8, "{undetected} of {fragments} fragments");
    }
}

#[test]
fn corruption_before_later_records_is_not_torn_tail() {
    let written = segment(RecordCompression::None);
    let last = written.ends[written.ends.len() - 2];
    let before = written.ends[written.ends.len() - 3];
    for (byte, extent) in [
        (last + 20, CorruptionExtent::TornTail),
        (before + 20, CorruptionExtent::Middle),
        (20, CorruptionExtent::Middle),
    ] {
        let mut bytes = written.bytes.clone();
        bytes[byte] ^= 1;
        assert_eq!(replay(&bytes).1.unwrap().extent, extent, "{byte}");
        // A length beyond the end of the file does not hide the records after it.
        let start = if extent == CorruptionExtent::TornTail { last } else { before };
        let mut bytes = written.bytes.clone();
        bytes[start + 1] = 0x7f;
        assert_eq!(replay(&bytes).1.unwrap().extent, extent, "{byte}");
    }
}

#[test]
fn record_without_end_is_torn_and_without_start_is_corruption() {
    let mut written = Written::default();
    let mut plain = Compressor::new(RecordCompression::None);
    written.push(&mut plain, vec![1; 3 * PAGE_SIZE]);
    for pages in [1, 2] {
        let corruption = replay(&written.bytes[..pages * PAGE_SIZE]).1.unwrap();
        assert_eq!(
            (corruption.extent, corruption.offset, corruption.good_end),
            (CorruptionExtent::TornTail, 0, 0)
        );
        assert!(matches!(corruption.reason, CorruptionReason::Unfinished));
    }
    let corruption = replay(&written.bytes[PAGE_SIZE..]).1.unwrap();
    assert_eq!((corruption.extent, corruption.offset), (CorruptionExtent::Middle, 0));
    assert!(matches!(corruption.reason, CorruptionReason::OutOfOrder));
    let mut mixed = written.bytes.clone();
    mixed[PAGE_SIZE] ^= RecordCompression::Snappy.flag();
    assert!(matches!(replay(&mixed).1.unwrap().reason, CorruptionReason::MixedCompression));
}

#[test]
fn undecodable_record_is_corruption_at_its_start() {
    let mut written = segment(RecordCompression::Snappy);
    let good = written.bytes.len();
    for record in [vec![255, 1, 2], vec![2, 0]] {
        let mut written = Written { bytes: written.bytes.clone(), ..Written::default() };
        written.push(&mut Compressor::new(RecordCompression::Snappy), record);
        written.push(&mut Compressor::new(RecordCompression::Snappy), vec![2]);
        let corruption = replay(&written.bytes).1.unwrap();
        assert_eq!(
            (corruption.extent, corruption.offset, corruption.good_end),
            (CorruptionExtent::Middle, good as u64, good as u64)
        );
    }
    written.push(&mut Compressor::new(RecordCompression::None), vec![14, 0]);
    let mut reader = LogSegmentReader::from_bytes(&written.bytes);
    let mut last = RecordType::Series;
    while let Some(record) = reader.next_record().unwrap() {
        last = RecordType::from_record(record);
    }
    assert!(last.is_plausibly_newer());
}

/// Generates compressible and incompressible records, with lengths around the page size.
fn arb_record() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![1usize..100, 32_700usize..32_800, 1usize..100_000];
    let seed = prop_oneof![Just(0u32), any::<u32>()];
    (len, seed).prop_map(|(len, seed)| {
        (0..len as u32).map(|i| (i.wrapping_mul(seed) >> 13) as u8 | 1).collect()
    })
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn records_written_to_segments_are_read_back(
        records in proptest::collection::vec(arb_record(), 0..20),
        compression in 0usize..3,
        pages in 1u64..4,
    ) {
        let mut compressor = Compressor::new(ALL[compression]);
        let mut segments = vec![Vec::new()];
        let mut is_alone = true;
        for record in &records {
            let mut data = Vec::new();
            let compression = compressor.append(record, &mut data);
            let size = pages * PAGE_SIZE as u64;
            let segment = segments.last_mut().unwrap();
            let mut offset = segment.len() as u64;
            if offset > 0 && !fits(offset, size, data.len()) {
                let padding = padding_at(offset);
                segment.resize(segment.len() + padding, 0);
                prop_assert!(segment.len() as u64 <= size || is_alone);
                segments.push(Vec::new());
                offset = 0;
            }
            is_alone = offset == 0;
            append_record(segments.last_mut().unwrap(), offset, &data, compression);
        }
        let mut read = Vec::new();
        for segment in &segments {
            let mut reader = LogSegmentReader::from_bytes(segment);
            while let Some(record) = reader.next_record().unwrap() {
                read.push(record.to_vec());
            }
            prop_assert!(segment[reader.valid_end() as usize..].iter().all(|&byte| byte == 0));
        }
        prop_assert_eq!(read, records);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(
        mut bytes in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..300),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..20),
        from_segment in any::<bool>(),
    ) {
        if from_segment {
            let mut written = Written::default();
            written.push(&mut Compressor::new(RecordCompression::Zstd), bytes.repeat(200));
            written.push(&mut Compressor::new(RecordCompression::Snappy), bytes);
            bytes = written.bytes;
        }
        for (offset, value) in changes {
            let len = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(offset % len) {
                *byte = value;
            }
        }
        let (_, corruption) = replay(&bytes);
        prop_assert!(corruption.is_none_or(|corruption| corruption.good_end <= corruption.offset && corruption.offset <= bytes.len() as u64));
    }
}
