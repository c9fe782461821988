//! Any bytes as the body of a write request: the borrowed reader takes and refuses them exactly as prost does, and reads the same.

use super::messages;
use narthex::model::sample::Sample;
use narthex::remote::reader::{CountLimits, RequestIndex};
use prost::Message;

const NO_LIMITS: CountLimits = CountLimits { series: u64::MAX, samples: u64::MAX };

/// What both must agree on.
#[derive(Debug, PartialEq)]
struct Content {
    series: Vec<Series>,
    metadata: u64,
}

#[derive(Debug, PartialEq)]
struct Series {
    labels: Vec<(String, String)>,
    samples: Vec<Sample>,
    exemplars: usize,
    histograms: usize,
}

/// Panics where the two differ.
pub(crate) fn check(body: &[u8]) {
    let mut index = RequestIndex::new();
    let found = borrowed(&mut index, body);
    assert_eq!(found, by_prost(body));
    // The index is used again and again; what it held before must not show.
    assert_eq!(borrowed(&mut index, body), found);
    limits_hold(&mut index, body, found.as_ref());
}

/// The request as the borrowed reader sees it; `None` where it is refused.
fn borrowed(index: &mut RequestIndex, body: &[u8]) -> Option<Content> {
    index.read(body, NO_LIMITS).ok()?;
    let series = index.series(body).map(|series| {
        assert_eq!(series.samples().len(), series.samples().count());
        if let Some(packed) = series.packed_labels() {
            // The run, taken alone as the fields of a series, has the same labels and nothing else.
            let alone = messages::TimeSeries::decode(packed).expect("a run of labels is a series");
            assert!(alone.samples.is_empty() && alone.exemplars.is_empty() && alone.histograms.is_empty());
            assert!(alone.labels.iter().map(|label| (&*label.name, &*label.value)).eq(series.labels()));
        }
        Series {
            labels: series.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            samples: series.samples().collect(),
            exemplars: series.exemplars() as usize,
            histograms: series.histograms() as usize,
        }
    });
    Some(Content { series: series.collect(), metadata: index.metadata(body).count() as u64 })
}

/// The request as prost sees it.
fn by_prost(body: &[u8]) -> Option<Content> {
    let request = messages::WriteRequest::decode(body).ok()?;
    let sample = |sample: &messages::Sample| Sample::new(sample.timestamp, f64::from_bits(sample.bits));
    let series = request.timeseries.into_iter().map(|series| Series {
        labels: series.labels.into_iter().map(|label| (label.name, label.value)).collect(),
        samples: series.samples.iter().map(sample).collect(),
        exemplars: series.exemplars.len(),
        histograms: series.histograms.len(),
    });
    Some(Content { series: series.collect(), metadata: request.metadata.len() as u64 })
}

/// A request is taken with limits that it just keeps, and refused with any lower one.
fn limits_hold(index: &mut RequestIndex, body: &[u8], content: Option<&Content>) {
    let Some(Content { series, .. }) = content else { return };
    let values = |series: &Series| series.samples.len() + series.exemplars + series.histograms;
    let (series, samples) = (series.len() as u64, series.iter().map(values).sum::<usize>() as u64);
    assert_eq!(index.read(body, CountLimits { series, samples }), Ok(()));
    if let Some(series) = series.checked_sub(1) {
        assert!(index.read(body, CountLimits { series, samples }).is_err());
    }
    if let Some(samples) = samples.checked_sub(1) {
        assert!(index.read(body, CountLimits { series, samples }).is_err());
    }
}
