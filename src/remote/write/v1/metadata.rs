//! Metadata of a remote write 1.0 request, decoded in place: one entry per metric family.
//!
//! A view exists only for a request that [`crate::remote::write::v1::request_index`] has checked,
//! so decoding cannot fail. Senders put either series or metadata into a request, so skipping the
//! series is cheap.

use crate::ingest::metadata::FamilyMetadata;
use crate::model::metadata::MetricType;
use crate::remote::wire::protobuf::{MAX_DEPTH, MessageCursor};

/// Field numbers of `prometheus.MetricMetadata`.
const TYPE: u32 = 1;
const FAMILY: u32 = 2;
const HELP: u32 = 4;
const UNIT: u32 = 5;

/// Returns the entries of a checked request in its order. `field` is their field number.
pub(crate) fn iter_families(body: &[u8], field: u32) -> impl Iterator<Item = FamilyMetadata<'_>> {
    let mut request = MessageCursor::new(body);
    std::iter::from_fn(move || {
        while !request.is_at_end() {
            let key = request.key().ok()?;
            if key.field == field {
                return request.message().ok().map(decode);
            }
            request.skip_value(key, MAX_DEPTH).ok()?;
        }
        None
    })
}

/// Decodes a checked entry; the last value of each field wins.
fn decode(mut message: MessageCursor<'_>) -> FamilyMetadata<'_> {
    let mut entry = FamilyMetadata::default();
    while !message.is_at_end() {
        if read_field(&mut message, &mut entry).is_none() {
            break;
        }
    }
    entry
}

fn read_field<'a>(message: &mut MessageCursor<'a>, entry: &mut FamilyMetadata<'a>) -> Option<()> {
    let key = message.key().ok()?;
    match key.field {
        TYPE => entry.metric_type = metric_type(message.varint().ok()?),
        FAMILY => entry.family = message.string().ok()?,
        HELP => entry.help = message.string().ok()?,
        UNIT => entry.unit = message.string().ok()?,
        _ => message.skip_value(key, MAX_DEPTH - 1).ok()?,
    }
    Some(())
}

/// Returns the type for a number of `prometheus.MetricMetadata.MetricType`.
///
/// Remote write 2.0 uses the same numbers. Only the lower 32 bits count.
pub(crate) fn metric_type(number: u64) -> MetricType {
    match number as u32 {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::Stateset,
        _ => MetricType::Unknown,
    }
}
