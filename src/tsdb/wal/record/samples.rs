//! Sample records: float samples without (type 2) and with (type 11) start timestamps.
//!
//! ```text
//! type 2: all entries relative to the reference and time of the first one
//! ┌──────────┬──────────────┬───────────────┐
//! │ type = 2 │ ref <8b, BE> │ time <8b, BE> │
//! ├──────────┴─────────┬────┴───────────────┴┬────────────────┐
//! │ ref delta <varint> │ time delta <varint> │ value <8b, BE> │  per entry
//! └────────────────────┴─────────────────────┴────────────────┘
//! type 11: references relative to the previous entry, times to the first
//! ┌───────────┬──────────────┬───────────────┬────────────────┬─────────────────────┐
//! │ type = 11 │ ref <varint> │ time <varint> │ start <varint> │ value <8b, BE>      │
//! ├───────────┴────────┬─────┴───────────────┼────────────────┴────┬────────────────┤
//! │ ref delta <varint> │ time delta <varint> │ start <1b + varint> │ value <8b, BE> │  next
//! └────────────────────┴─────────────────────┴─────────────────────┴────────────────┘
//! start: 0 = none, 1 = that of the previous entry, 2 = a delta to the first one follows
//! ```
//!
//! Times are in ms. A record with only the type byte is valid and empty. Deltas wrap around at 64
//! bits, as in Go.

use crate::model::float_sample::FloatSample;
use crate::model::refs::SeriesRef;
use crate::tsdb::encoding::byte_reader::{ByteReader, put_be_i64, put_be_u64, put_varint};
use crate::tsdb::wal::record::error::DecodeRecordError;
use crate::tsdb::wal::record::record_type::RecordType;

/// Float sample with the reference of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefSample {
    /// Series that the sample belongs to.
    pub series: SeriesRef,
    /// Start timestamp, ms; 0 = unknown.
    pub start_timestamp: i64,
    /// Timestamp (ms) and value.
    pub sample: FloatSample,
}

/// Reference and time that entries of a type 2 record are relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SampleBase {
    series: u64,
    time: i64,
}

/// Starts a sample record (type 2) at the end of `out` for a first sample of this series and time.
/// The caller must put that sample first.
#[inline]
pub fn begin_samples(out: &mut Vec<u8>, first: SeriesRef, time: i64) -> SampleBase {
    out.push(2);
    put_be_u64(out, first.0);
    put_be_i64(out, time);
    SampleBase { series: first.0, time }
}

/// Appends a sample to the record that was started with `base`.
#[inline]
pub fn put_sample(out: &mut Vec<u8>, base: SampleBase, series: SeriesRef, sample: FloatSample) {
    put_varint(out, series.0.wrapping_sub(base.series) as i64);
    put_varint(out, sample.t.wrapping_sub(base.time));
    put_be_u64(out, sample.v.to_bits());
}

/// Appends a sample record (type 2) to `out`, byte for byte as Prometheus does.
pub fn encode_samples(
    out: &mut Vec<u8>,
    samples: impl IntoIterator<Item = (SeriesRef, FloatSample)>,
) {
    let mut samples = samples.into_iter().peekable();
    let Some(&(series, FloatSample { t, .. })) = samples.peek() else { return out.push(2) };
    let base = begin_samples(out, series, t);
    samples.for_each(|(series, sample)| put_sample(out, base, series, sample));
}

/// Appends a sample record with start timestamps (type 11) to `out`, byte for byte as Prometheus
/// does.
pub fn encode_samples_v2(out: &mut Vec<u8>, samples: impl IntoIterator<Item = RefSample>) {
    out.push(RecordType::SamplesV2.as_byte());
    let mut times = None;
    for RefSample { series, start_timestamp: start, sample } in samples {
        EntryBase::write(
            &mut times,
            out,
            EntryHeader { series, t: sample.t, start_timestamp: start },
        );
        put_be_u64(out, sample.v.to_bits());
    }
}

/// Decoder for sample records of both types. Does not allocate. Ends after the first error.
#[derive(Debug)]
pub struct SamplesDecoder<'a> {
    reader: ByteReader<'a>,
    layout: SampleLayout,
}

#[derive(Clone, Copy, Debug)]
enum SampleLayout {
    V1 { base_ref: u64, base_time: i64 },
    V2(Option<EntryBase>),
}

impl<'a> SamplesDecoder<'a> {
    /// Creates a decoder for a complete record.
    ///
    /// # Errors
    /// [`DecodeRecordError::UnexpectedType`], or [`DecodeRecordError::Bytes`] if the header is
    /// truncated.
    pub fn new(record: &'a [u8]) -> Result<Self, DecodeRecordError> {
        let mut reader = ByteReader::new(record.get(1..).unwrap_or_default());
        let layout = match RecordType::from_record(record) {
            RecordType::Samples if reader.is_empty() => {
                SampleLayout::V1 { base_ref: 0, base_time: 0 }
            }
            RecordType::Samples => {
                SampleLayout::V1 { base_ref: reader.be_u64()?, base_time: reader.be_i64()? }
            }
            RecordType::SamplesV2 => SampleLayout::V2(None),
            found => {
                return Err(DecodeRecordError::UnexpectedType {
                    expected: RecordType::Samples,
                    found,
                });
            }
        };
        Ok(Self { reader, layout })
    }

    /// Returns an upper bound of the number of remaining entries, for reserving memory.
    #[must_use]
    pub fn max_entries(&self) -> usize {
        // At least one byte per delta, and eight for the value.
        self.reader.remaining() / 10
    }

    #[inline]
    fn read(&mut self) -> Result<RefSample, DecodeRecordError> {
        match &mut self.layout {
            SampleLayout::V1 { base_ref, base_time } => {
                let series = SeriesRef(base_ref.wrapping_add(self.reader.varint()? as u64));
                let t = base_time.wrapping_add(self.reader.varint()?);
                let sample = FloatSample { t, v: self.reader.be_f64()? };
                Ok(RefSample { series, start_timestamp: 0, sample })
            }
            SampleLayout::V2(times) => {
                let EntryHeader { series, t, start_timestamp: start } =
                    EntryBase::read(times, &mut self.reader)?;
                Ok(RefSample {
                    series,
                    start_timestamp: start,
                    sample: FloatSample { t, v: self.reader.be_f64()? },
                })
            }
        }
    }
}

impl Iterator for SamplesDecoder<'_> {
    type Item = Result<RefSample, DecodeRecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.reader = ByteReader::new(&[]);
        }
        Some(entry)
    }
}

/// Header of an entry of a V2 record.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryHeader {
    pub(super) series: SeriesRef,
    pub(super) t: i64,
    pub(super) start_timestamp: i64,
}

/// Values that entry headers of V2 records are relative to.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryBase {
    first_time: i64,
    first_start: i64,
    previous_ref: u64,
    previous_start: i64,
}

impl EntryBase {
    /// Reads the header of the next entry; `times` is `None` before the first one.
    pub(super) fn read(
        times: &mut Option<Self>,
        reader: &mut ByteReader<'_>,
    ) -> Result<EntryHeader, DecodeRecordError> {
        let Some(times) = times else {
            let (series, t, start) = (reader.varint()? as u64, reader.varint()?, reader.varint()?);
            *times = Some(Self {
                first_time: t,
                first_start: start,
                previous_ref: series,
                previous_start: start,
            });
            return Ok(EntryHeader { series: SeriesRef(series), t, start_timestamp: start });
        };
        times.previous_ref = times.previous_ref.wrapping_add(reader.varint()? as u64);
        let t = times.first_time.wrapping_add(reader.varint()?);
        times.previous_start = match reader.u8()? {
            0 => 0,
            1 => times.previous_start,
            2 => times.first_start.wrapping_add(reader.varint()?),
            byte => {
                return Err(DecodeRecordError::InvalidByte {
                    what: "start marker",
                    byte,
                    offset: reader.offset(),
                });
            }
        };
        Ok(EntryHeader {
            series: SeriesRef(times.previous_ref),
            t,
            start_timestamp: times.previous_start,
        })
    }

    /// Appends the header of the next entry; `times` is `None` before the first one.
    pub(super) fn write(times: &mut Option<Self>, out: &mut Vec<u8>, entry: EntryHeader) {
        let EntryHeader { series: SeriesRef(series), t, start_timestamp: start } = entry;
        let Some(times) = times else {
            put_varint(out, series as i64);
            put_varint(out, t);
            put_varint(out, start);
            *times = Some(Self {
                first_time: t,
                first_start: start,
                previous_ref: series,
                previous_start: start,
            });
            return;
        };
        put_varint(out, series.wrapping_sub(times.previous_ref) as i64);
        put_varint(out, t.wrapping_sub(times.first_time));
        if start == 0 {
            out.push(0);
        } else if start == times.previous_start {
            out.push(1);
        } else {
            out.push(2);
            put_varint(out, start.wrapping_sub(times.first_start));
        }
        (times.previous_ref, times.previous_start) = (series, start);
    }
}

#[cfg(test)]
mod tests {
    use super::{RefSample, SamplesDecoder, encode_samples, encode_samples_v2};
    use crate::model::float_sample::{FloatSample, STALE_NAN_BITS};
    use crate::model::refs::SeriesRef;
    use crate::tsdb::encoding::byte_reader::ByteError;
    use crate::tsdb::wal::record::error::DecodeRecordError;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn encoded_bytes_match_format() {
        let mut record = Vec::new();
        let stale = f64::from_bits(STALE_NAN_BITS);
        encode_samples(
            &mut record,
            [
                (SeriesRef(5), FloatSample::new(1000, 1.0)),
                (SeriesRef(4), FloatSample::new(1001, stale)),
            ],
        );
        let mut expected = b"\x02\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\x03\xe8".to_vec();
        expected.extend_from_slice(b"\0\0\x3f\xf0\0\0\0\0\0\0");
        expected.extend_from_slice(b"\x01\x02\x7f\xf0\0\0\0\0\0\x02");
        assert_eq!(record, expected);
    }

    #[test]
    fn start_timestamps_follow_their_markers() {
        let mut record = vec![11, 2, 20, 10];
        record.extend_from_slice(&[0; 8]);
        for marker in [&[1][..], &[0], &[1], &[2, 4], &[1]] {
            record.extend_from_slice(&[2, 2]);
            record.extend_from_slice(marker);
            record.extend_from_slice(&[0; 8]);
        }
        let decoded: Vec<_> = SamplesDecoder::new(&record).unwrap().map(Result::unwrap).collect();
        assert_eq!(
            decoded.iter().map(|s| s.start_timestamp).collect::<Vec<_>>(),
            [5, 5, 0, 0, 7, 7]
        );
        assert_eq!(decoded.iter().map(|s| s.series.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(
            decoded.iter().map(|s| s.sample.t).collect::<Vec<_>>(),
            [10, 11, 11, 11, 11, 11]
        );
        let mut encoded = Vec::new();
        encode_samples_v2(&mut encoded, decoded);
        // The entry at 34 has no start, like the one before. Prometheus writes 0 (none), not 1
        // (previous).
        record[36] = 0;
        assert_eq!(encoded, record);
    }

    #[test]
    fn empty_record_has_no_samples_and_truncated_one_fails() {
        assert_eq!(SamplesDecoder::new(&[2]).unwrap().count(), 0);
        assert_eq!(SamplesDecoder::new(&[11]).unwrap().count(), 0);
        assert!(SamplesDecoder::new(&[2, 0]).is_err());
        assert!(SamplesDecoder::new(&[1]).is_err());
        let cut: Vec<_> = SamplesDecoder::new(&[11, 2, 2, 2, 0]).unwrap().collect();
        assert_eq!(
            cut,
            [Err(DecodeRecordError::Bytes(ByteError::UnexpectedEnd {
                offset: 3,
                needed: 8,
                left: 1
            }))]
        );
    }

    proptest! {
        #[test]
        fn encoded_samples_decode_bit_for_bit(
            samples in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<u64>()), 0..50),
        ) {
            let samples: Vec<_> = samples
                .iter()
                .map(|&(n, t, v)| (SeriesRef(n), FloatSample::new(t, f64::from_bits(v))))
                .collect();
            let mut record = Vec::new();
            encode_samples(&mut record, samples.iter().copied());
            let decoder = SamplesDecoder::new(&record).unwrap();
            prop_assert!(decoder.max_entries() >= samples.len());
            let decoded: Vec<_> = decoder.map(Result::unwrap).collect();
            let expected: Vec<_> = samples
                .iter()
                .map(|&(series, sample)| RefSample { series, start_timestamp: 0, sample })
                .collect();
            prop_assert_eq!(decoded, expected);
        }

        #[test]
        fn encoded_samples_v2_decode_bit_for_bit(
            samples in proptest::collection::vec(
                (any::<u64>(), any::<i64>(), any::<u64>(), 0i64..3),
                0..50,
            ),
        ) {
            let samples: Vec<_> = samples
                .iter()
                .map(|&(n, t, v, start)| RefSample {
                    series: SeriesRef(n),
                    start_timestamp: start.wrapping_mul(i64::MAX / 2 + 7),
                    sample: FloatSample::new(t, f64::from_bits(v)),
                })
                .collect();
            let mut record = Vec::new();
            encode_samples_v2(&mut record, samples.iter().copied());
            let decoded: Vec<_> =
                SamplesDecoder::new(&record).unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(decoded, samples);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(
            v2 in any::<bool>(),
            mut record in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            record[0] = if v2 { 11 } else { 2 };
            if let Ok(decoder) = SamplesDecoder::new(&record) {
                decoder.for_each(drop);
            }
        }
    }
}
