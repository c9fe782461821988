//! The borrowed reader of a remote write 1.0 request: finds series, labels and samples where they stand in the body.
//!
//! It is two walks. [`RequestIndex::read`] checks the whole request, as strictly as prost does, and notes where each series
//! lies; nothing may be stored before it has said yes, so that a cut-off request never leaves a part behind. Then
//! [`RequestIndex::series`] gives out views that decode in place. The index is reused from request to request: for a
//! request like the one before nothing is allocated.
//!
//! What a sender may do and prost allows: fields in any order, repeated (the last scalar wins), unknown, labels in several
//! places of a series, lengths with more bytes than needed. All of it is read; but the labels of a series are offered as
//! one run of bytes only where they stand together, which is how every known sender writes them.

use crate::model::sample::Sample;
use crate::remote::protobuf::{Cursor, DecodeError, Key, MAX_DEPTH, WireType};
use crate::remote::schema;

/// Field numbers of `prometheus.WriteRequest`, `TimeSeries`, `Label` and `Sample`.
const TIMESERIES: u32 = 1;
const METADATA: u32 = 3;
const LABELS: u32 = 1;
const SAMPLES: u32 = 2;
const EXEMPLARS: u32 = 3;
const HISTOGRAMS: u32 = 4;
const NAME: u32 = 1;
const VALUE: u32 = 2;
const SAMPLE_VALUE: u32 = 1;
const SAMPLE_TIMESTAMP: u32 = 2;

/// The keys of those fields as bytes.
const LABELS_KEY: u8 = (LABELS << 3) as u8 | 2;
const SAMPLES_KEY: u8 = (SAMPLES << 3) as u8 | 2;
const NAME_KEY: u8 = (NAME << 3) as u8 | 2;
const VALUE_KEY: u8 = (VALUE << 3) as u8 | 2;
const SAMPLE_VALUE_KEY: u8 = (SAMPLE_VALUE << 3) as u8 | 1;
const SAMPLE_TIMESTAMP_KEY: u8 = (SAMPLE_TIMESTAMP << 3) as u8;

/// How deep a series, and a label or sample, stands in the request.
const SERIES_LEVEL: u32 = 1;
const FIELD_LEVEL: u32 = 2;

/// How much one request may hold.
#[derive(Debug, Clone, Copy)]
pub struct CountLimits {
    /// Entries in `timeseries`.
    pub series: u64,
    /// Samples, exemplars and histograms together.
    pub samples: u64,
}

/// Why a body is not a request that can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is not the message, or not all of it.
    #[error("the body is not a prometheus.WriteRequest: {0}")]
    Malformed(#[from] DecodeError),
    /// Too many series.
    #[error("the request has more than {0} series")]
    TooManySeries(u64),
    /// Too many samples.
    #[error("the request has more than {0} samples")]
    TooManySamples(u64),
}

/// Where the parts of a request lie.
#[derive(Debug, Default)]
pub struct RequestIndex {
    series: Vec<SeriesSpan>,
    samples: u64,
    metadata: u64,
}

/// Where one series lies in the body, and what it has. A body is shorter than 2^32 bytes.
#[derive(Debug, Clone, Copy)]
struct SeriesSpan {
    start: u32,
    end: u32,
    /// The first run of label fields.
    labels_start: u32,
    labels_end: u32,
    samples: u32,
    exemplars: u32,
    histograms: u32,
    /// Whether there are labels outside of that run.
    labels_split: bool,
}

impl RequestIndex {
    /// An index without a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a whole request and notes where its series lie.
    ///
    /// # Errors
    /// [`ReadError`]; the index is then of no use.
    pub fn read(&mut self, body: &[u8], limits: CountLimits) -> Result<(), ReadError> {
        self.series.clear();
        self.samples = 0;
        self.metadata = 0;
        if u32::try_from(body.len()).is_err() {
            return Err(DecodeError { what: "more than 4 GiB", offset: 0 }.into());
        }
        let mut request = Cursor::new(body);
        while !request.is_at_end() {
            let key = request.key()?;
            match key.field {
                TIMESERIES => {
                    request.expect(key, WireType::Length)?;
                    let span = SeriesSpan::read(body, request.message()?)?;
                    self.samples += u64::from(span.samples) + u64::from(span.exemplars) + u64::from(span.histograms);
                    self.series.push(span);
                    if self.series.len() as u64 > limits.series {
                        return Err(ReadError::TooManySeries(limits.series));
                    }
                    if self.samples > limits.samples {
                        return Err(ReadError::TooManySamples(limits.samples));
                    }
                }
                METADATA => {
                    request.expect(key, WireType::Length)?;
                    schema::METADATA.check(request.message()?, 1)?;
                    self.metadata += 1;
                }
                _ => request.skip_value(key, MAX_DEPTH)?,
            }
        }
        Ok(())
    }

    /// The series of the request that was read; `body` must be the same bytes.
    pub fn series<'a>(&'a self, body: &'a [u8]) -> impl ExactSizeIterator<Item = Series<'a>> {
        self.series.iter().map(move |span| Series { body, span: *span })
    }

    /// How many entries of metadata the request has.
    #[must_use]
    pub fn metadata(&self) -> u64 {
        self.metadata
    }

    /// Bytes that the index keeps for the next request.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.series.capacity() * size_of::<SeriesSpan>()
    }
}

impl SeriesSpan {
    /// Checks one series.
    #[inline]
    fn read(body: &[u8], mut series: Cursor<'_>) -> Result<Self, DecodeError> {
        let start = series.offset() as u32;
        let mut span = Self {
            start,
            end: start + series.rest().len() as u32,
            labels_start: start,
            labels_end: start,
            samples: 0,
            exemplars: 0,
            histograms: 0,
            labels_split: false,
        };
        while !series.is_at_end() {
            let field_start = series.offset();
            match series.rest() {
                [LABELS_KEY, ..] => {
                    check_labels(body, &mut series)?;
                    span.note_labels(field_start, series.offset());
                }
                rest @ [SAMPLES_KEY, ..] => {
                    span.samples += 1;
                    match usual_sample(rest) {
                        Some(sample) => series.skip(sample.len),
                        None => {
                            series.skip(1);
                            decode_sample(series.message()?)?;
                        }
                    }
                }
                _ => span.read_other(&mut series)?,
            }
        }
        Ok(span)
    }

    /// Checks a field that is not a label or sample as every sender writes them.
    fn read_other(&mut self, series: &mut Cursor<'_>) -> Result<(), DecodeError> {
        let field_start = series.offset();
        let key = series.key()?;
        match key.field {
            LABELS..=HISTOGRAMS => series.expect(key, WireType::Length)?,
            _ => return series.skip_value(key, MAX_DEPTH - SERIES_LEVEL),
        }
        let message = series.message()?;
        match key.field {
            LABELS => {
                schema::LABEL.check(message, FIELD_LEVEL)?;
                self.note_labels(field_start, series.offset());
            }
            SAMPLES => {
                decode_sample(message)?;
                self.samples += 1;
            }
            EXEMPLARS => {
                schema::EXEMPLAR.check(message, FIELD_LEVEL)?;
                self.exemplars += 1;
            }
            _ => {
                schema::HISTOGRAM.check(message, FIELD_LEVEL)?;
                self.histograms += 1;
            }
        }
        Ok(())
    }

    /// Takes labels at `start..end` to the run, if they follow it.
    #[inline]
    fn note_labels(&mut self, start: usize, end: usize) {
        if self.labels_start == self.labels_end {
            self.labels_start = start as u32;
        } else if self.labels_end != start as u32 {
            self.labels_split = true;
            return;
        }
        self.labels_end = end as u32;
    }
}

/// Checks label fields as long as they follow each other.
#[inline]
fn check_labels(body: &[u8], series: &mut Cursor<'_>) -> Result<(), DecodeError> {
    let start = series.offset();
    while let [LABELS_KEY, rest @ ..] = series.rest() {
        match usual_label(rest) {
            Some(len) => series.skip(1 + len),
            None => {
                series.skip(1);
                schema::LABEL.check(series.message()?, FIELD_LEVEL)?;
            }
        }
    }
    // The lengths and keys of usual labels are ASCII, so if the run is, its texts are, and ASCII is UTF-8.
    if body[start..series.offset()].is_ascii() {
        return Ok(());
    }
    let mut again = Cursor::within(body, start, series.offset());
    while !again.is_at_end() {
        again.skip(1);
        schema::LABEL.check(again.message()?, FIELD_LEVEL)?;
    }
    Ok(())
}

/// The length of a label (without its key) that is written as usual: name, value, both shorter than 128 bytes and nothing
/// else. Its texts are not checked.
#[inline]
fn usual_label(bytes: &[u8]) -> Option<usize> {
    let (&len, label) = bytes.split_first()?;
    let label = label.get(..usize::from(len))?;
    let [NAME_KEY, name_len, rest @ ..] = label else { return None };
    let [VALUE_KEY, value_len, value @ ..] = rest.get(usize::from(*name_len)..)? else { return None };
    let usual = len < 0x80 && *value_len < 0x80 && value.len() == usize::from(*value_len);
    usual.then_some(1 + usize::from(len))
}

/// A sample as every sender writes it, and how many bytes it takes with its key.
struct UsualSample {
    sample: Sample,
    len: usize,
}

/// Decodes a sample (with its key) that is written as usual: value, timestamp, nothing else.
#[inline]
fn usual_sample(bytes: &[u8]) -> Option<UsualSample> {
    let len = *bytes.get(1)?;
    let fields = bytes.get(2..2 + usize::from(len))?;
    let (head, timestamp) = fields.split_first_chunk::<10>()?;
    let [SAMPLE_VALUE_KEY, value @ .., SAMPLE_TIMESTAMP_KEY] = head else { return None };
    let value: [u8; 8] = *value.first_chunk()?;
    // Up to nine bytes, of which only the last is below 0x80, are a varint without any doubt.
    let (&last, others) = timestamp.split_last()?;
    if last >= 0x80 || others.len() > 8 {
        return None;
    }
    let mut t = u64::from(last) << (7 * others.len());
    for (i, &byte) in others.iter().enumerate() {
        if byte < 0x80 {
            return None;
        }
        t |= u64::from(byte & 0x7f) << (7 * i);
    }
    let sample = Sample::new(t as i64, f64::from_bits(u64::from_le_bytes(value)));
    Some(UsualSample { sample, len: 2 + usize::from(len) })
}

/// Decodes a sample however it is written.
fn decode_sample(mut message: Cursor<'_>) -> Result<Sample, DecodeError> {
    let mut sample = Sample::new(0, 0.0);
    while !message.is_at_end() {
        let key = message.key()?;
        match key.field {
            SAMPLE_VALUE => {
                message.expect(key, WireType::Fixed64)?;
                sample.v = f64::from_bits(message.fixed64()?);
            }
            SAMPLE_TIMESTAMP => {
                message.expect(key, WireType::Varint)?;
                sample.t = message.varint()? as i64;
            }
            _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL)?,
        }
    }
    Ok(sample)
}

/// A view of one series of a checked request.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    body: &'a [u8],
    span: SeriesSpan,
}

impl<'a> Series<'a> {
    /// All labels as they stand in the body, or `None` where they stand in several places.
    #[must_use]
    pub fn packed_labels(&self) -> Option<&'a [u8]> {
        let SeriesSpan { labels_start, labels_end, labels_split, .. } = self.span;
        if labels_split { None } else { self.body.get(labels_start as usize..labels_end as usize) }
    }

    /// The labels one by one, in the order of the body: as they are, also empty and repeated ones.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut fields = self.fields(self.span.start);
        std::iter::from_fn(move || fields.find(LABELS).map(decode_label))
    }

    /// The samples in the order of the body.
    #[must_use]
    pub fn samples(&self) -> Samples<'a> {
        // Most often they begin where the labels end; labels in several places are rare enough to begin at the start.
        let start = if self.span.labels_start == self.span.start { self.span.labels_end } else { self.span.start };
        Samples { fields: self.fields(start), left: self.span.samples }
    }

    /// How many exemplars the series has.
    #[must_use]
    pub fn exemplars(&self) -> u32 {
        self.span.exemplars
    }

    /// How many native histograms the series has.
    #[must_use]
    pub fn histograms(&self) -> u32 {
        self.span.histograms
    }

    fn fields(&self, start: u32) -> Fields<'a> {
        Fields { cursor: Cursor::within(self.body, start as usize, self.span.end as usize) }
    }
}

/// The name and value of a checked label; the last of each wins.
fn decode_label(mut message: Cursor<'_>) -> (&str, &str) {
    let (mut name, mut value) = ("", "");
    while !message.is_at_end() {
        let Ok(key) = message.key() else { break };
        let text = match key.field {
            NAME => &mut name,
            VALUE => &mut value,
            _ => match message.skip_value(key, MAX_DEPTH - FIELD_LEVEL) {
                Ok(()) => continue,
                Err(_) => break,
            },
        };
        let Ok(found) = message.string() else { break };
        *text = found;
    }
    (name, value)
}

/// The fields of a checked series.
#[derive(Debug, Clone)]
struct Fields<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Fields<'a> {
    /// The next message that is a value of `field`. The series was checked, so an error can only be its end.
    fn find(&mut self, field: u32) -> Option<Cursor<'a>> {
        while !self.cursor.is_at_end() {
            let key: Key = self.cursor.key().ok()?;
            if key.field == field {
                return self.cursor.message().ok();
            }
            self.cursor.skip_value(key, MAX_DEPTH - SERIES_LEVEL).ok()?;
        }
        None
    }
}

/// The samples of a series, decoded where they stand.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    fields: Fields<'a>,
    left: u32,
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    #[inline]
    fn next(&mut self) -> Option<Sample> {
        self.left = self.left.checked_sub(1)?;
        if let rest @ [SAMPLES_KEY, ..] = self.fields.cursor.rest()
            && let Some(usual) = usual_sample(rest)
        {
            self.fields.cursor.skip(usual.len);
            return Some(usual.sample);
        }
        self.fields.find(SAMPLES).and_then(|message| decode_sample(message).ok())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Samples<'_> {}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
