//! Limits of writes, from flags. A limit in a dry run is replaced by a bound that always holds.

use crate::app::config::values::{limit, millis};
use crate::config::flags::ServeFlags;
use crate::config::units::ByteSize;
use crate::ingest::limits::DryRunLimits;
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::remote::write::limits::{CountLimits, WriteLimits};
use crate::remote::write::v2::request_index::INDEX_BYTES_OF_SERIES;

/// Maximum number of labels in a dry run: the memory of one series stays bounded.
const MAX_LABELS: usize = 1 << 16;
/// Maximum size of a label name or value in a dry run: Prometheus cannot load 16 MiB.
const MAX_LABEL_BYTES: usize = (1 << 24) - 1;
/// Maximum size of unit and help text in a dry run: the WAL has them once for each series of the
/// family.
const MAX_METADATA_BYTES: usize = 64 << 10;
/// Bytes of the size limit of a request for each of its series in a dry run. The index of a request
/// is in no memory budget; so it stays smaller than the largest request.
const DECODED_BYTES_OF_SERIES: u64 = 256;
const _: () = assert!(INDEX_BYTES_OF_SERIES as u64 <= DECODED_BYTES_OF_SERIES);
/// Bytes of the size limit of a request for each of its samples in a dry run. A sample with a
/// current timestamp has at least as many.
const DECODED_BYTES_OF_SAMPLE: u64 = 8;
/// Part of the block range by which a sample may be ahead in a dry run. The head rejects in-order
/// samples half a block range before its newest one, which samples of other senders would then be.
const FUTURE_PART_OF_BLOCK_RANGE: u32 = 4;

/// Enforced maximum of a limit, and its maximum in a dry run.
struct Maxima<T> {
    enforced: T,
    dry_run: T,
}

/// Splits a limit. In a dry run there is a `bound`, which is enforced unless the limit is higher.
fn split<T: Ord + Copy>(max: T, bound: Option<T>, unlimited: T) -> Maxima<T> {
    match bound {
        Some(bound) => Maxima { enforced: max.max(bound), dry_run: max },
        None => Maxima { enforced: max, dry_run: unlimited },
    }
}

/// Returns the limits of a write request.
pub(super) fn write_limits(flags: &ServeFlags) -> WriteLimits {
    let (write, dry_run) = (&flags.write, flags.dry_run);
    let decoded = write.max_decoded_size.0;
    let bytes = |max: ByteSize, bound| split(max.as_usize(), bound, usize::MAX);
    let labels = dry_run.max_labels.then_some(MAX_LABELS);
    let labels = split(limit(write.max_labels), labels, usize::MAX);
    let name = dry_run.max_label_name_size.then_some(MAX_LABEL_BYTES);
    let name = bytes(write.max_label_name_size, name);
    let value = dry_run.max_label_value_size.then_some(MAX_LABEL_BYTES);
    let value = bytes(write.max_label_value_size, value);
    let metadata = dry_run.max_metadata_size.then_some(MAX_METADATA_BYTES);
    let metadata = bytes(write.max_metadata_size, metadata);
    let future = millis(flags.storage.min_block_duration / FUTURE_PART_OF_BLOCK_RANGE);
    let future = dry_run.max_future.then_some(future);
    let future = split(millis(write.max_future), future, i64::MAX);
    let series = dry_run.max_series.then_some(decoded / DECODED_BYTES_OF_SERIES);
    let series = split(write.max_series, series, u64::MAX);
    let samples = dry_run.max_samples.then_some(decoded / DECODED_BYTES_OF_SAMPLE);
    let samples = split(write.max_samples, samples, u64::MAX);
    WriteLimits {
        decoded_bytes: write.max_decoded_size.as_usize(),
        counts: CountLimits { series: series.enforced, samples: samples.enforced },
        items: IngestLimits {
            labels: LabelLimits {
                count: labels.enforced,
                name_bytes: name.enforced,
                value_bytes: value.enforced,
            },
            metadata: MetadataLimits { name_bytes: value.enforced, text_bytes: metadata.enforced },
            max_future_ms: future.enforced,
            dry_run: DryRunLimits {
                labels: LabelLimits {
                    count: labels.dry_run,
                    name_bytes: name.dry_run,
                    value_bytes: value.dry_run,
                },
                metadata: MetadataLimits {
                    name_bytes: value.dry_run,
                    text_bytes: metadata.dry_run,
                },
                max_future_ms: future.dry_run,
                series: series.dry_run,
                samples: samples.dry_run,
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn dry_run_keeps_its_bound_or_a_higher_limit() {
        let maxima = |max, bound| {
            let split = split(max, bound, u64::MAX);
            (split.enforced, split.dry_run)
        };
        assert_eq!(maxima(5, None), (5, u64::MAX));
        assert_eq!(maxima(5, Some(100)), (100, 5));
        assert_eq!(maxima(200, Some(100)), (200, 200));
    }
}
