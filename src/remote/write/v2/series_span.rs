//! Position of a series in the body, and the check of its bytes.

use crate::remote::wire::protobuf::WireType;
use crate::remote::wire::protobuf::{DecodeMessageError, MAX_DEPTH, MessageCursor};
use crate::remote::wire::schema::{self, FIELD_LEVEL, SERIES_LEVEL};
use crate::remote::write::v2::refs::{LABELS_REFS, LABELS_REFS_KEY, check_refs, check_run};
use crate::remote::write::v2::sample::{decode_sample, decode_sample_fast};

/// Field numbers of `TimeSeries`; the first one is in [`crate::remote::write::v2::refs`].
pub(crate) const SAMPLES: u32 = 2;
pub(crate) const HISTOGRAMS: u32 = 3;
pub(crate) const EXEMPLARS: u32 = 4;
pub(crate) const METADATA: u32 = 5;

/// Key of `samples`, as a byte.
pub(crate) const SAMPLES_KEY: u8 = 0x12;

/// Position and contents of a series in the body. A body is shorter than 2^32 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SeriesSpanV2 {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Start of the first packed run of references, after its key and length.
    pub(crate) refs_start: u32,
    pub(crate) refs_end: u32,
    /// Number of all references.
    pub(crate) refs: u32,
    pub(crate) samples: u32,
    pub(crate) histograms: u32,
    pub(crate) exemplars: u32,
    /// `true` if there are references outside of that run.
    pub(crate) has_scattered_refs: bool,
    pub(crate) has_metadata: bool,
}

impl SeriesSpanV2 {
    /// Checks a series and records its contents.
    #[inline]
    pub(crate) fn read(mut series: MessageCursor<'_>) -> Result<Self, DecodeMessageError> {
        let start = series.offset() as u32;
        let end = start + series.rest().len() as u32;
        let mut span = Self { start, end, refs_start: start, refs_end: start, ..Self::default() };
        while !series.is_at_end() {
            match series.rest() {
                [LABELS_REFS_KEY, ..] => {
                    series.skip(1);
                    let run = series.message()?;
                    span.record_run(run.offset(), series.offset());
                    span.refs += check_run(run)? as u32;
                }
                rest @ [SAMPLES_KEY, ..] => {
                    span.samples += 1;
                    match decode_sample_fast(rest) {
                        Some(sample) => series.skip(sample.len),
                        None => {
                            series.skip(1);
                            decode_sample(series.message()?)?;
                        }
                    }
                }
                _ => span.check_uncommon_field(&mut series)?,
            }
        }
        Ok(span)
    }

    /// Checks a field that is neither references nor a sample in the common encoding.
    fn check_uncommon_field(
        &mut self,
        series: &mut MessageCursor<'_>,
    ) -> Result<(), DecodeMessageError> {
        let key = series.key()?;
        match key.field {
            LABELS_REFS => {
                self.refs += check_refs(series, key)? as u32;
                self.has_scattered_refs = true;
                return Ok(());
            }
            SAMPLES..=METADATA => series.expect_wire_type(key, WireType::Length)?,
            _ => return series.skip_value(key, MAX_DEPTH - SERIES_LEVEL),
        }
        let message = series.message()?;
        match key.field {
            SAMPLES => {
                decode_sample(message)?;
                self.samples += 1;
            }
            HISTOGRAMS => {
                schema::HISTOGRAM_V2.check(message, FIELD_LEVEL)?;
                self.histograms += 1;
            }
            EXEMPLARS => {
                schema::EXEMPLAR_V2.check(message, FIELD_LEVEL)?;
                self.exemplars += 1;
            }
            _ => {
                schema::METADATA_V2.check(message, FIELD_LEVEL)?;
                self.has_metadata = true;
            }
        }
        Ok(())
    }

    /// Records a run of references, or that there is more than one.
    #[inline]
    fn record_run(&mut self, start: usize, end: usize) {
        if self.refs_start == self.start {
            (self.refs_start, self.refs_end) = (start as u32, end as u32);
        } else {
            self.has_scattered_refs = true;
        }
    }
}
