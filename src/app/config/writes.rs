//! Limits of writes, from flags. A limit in a dry run is replaced by a bound that always holds.

use crate::app::config::values::{limit, millis};
use crate::config::flags::ServeFlags;
use crate::ingest::limits::DryRunLimits;
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::remote::write::limits::{CountLimits, WriteLimits};

/// Maximum number of labels in a dry run: the memory of one series stays bounded.
const MAX_LABELS: usize = 1 << 16;
/// Maximum size of a label name or value in a dry run: Prometheus cannot load 16 MiB.
const MAX_LABEL_BYTES: usize = (1 << 24) - 1;
/// Maximum size of unit and help text in a dry run: the WAL has them once for each series of the
/// family.
const MAX_METADATA_BYTES: usize = 64 << 10;
/// Minimum size of a series and of a sample with a current timestamp in a request, bytes. A request
/// within the size limit has no more of them, so the memory of its index stays bounded.
const MIN_SERIES_BYTES: u64 = 16;
const MIN_SAMPLE_BYTES: u64 = 8;
/// Part of the block range by which a sample may be ahead in a dry run. The head rejects in-order
/// samples half a block range before its newest one, which samples of other senders would then be.
const FUTURE_PART_OF_BLOCK_RANGE: u32 = 4;

/// Enforced maximum of a limit, and its maximum in a dry run.
struct Maxima<T> {
    enforced: T,
    dry_run: T,
}

/// Splits a limit. In a dry run, `bound` is enforced unless the limit is higher.
fn split<T: Ord + Copy>(max: T, is_dry_run: bool, bound: T, unlimited: T) -> Maxima<T> {
    if is_dry_run {
        Maxima { enforced: max.max(bound), dry_run: max }
    } else {
        Maxima { enforced: max, dry_run: unlimited }
    }
}

/// Returns the limits of a write request.
pub(super) fn write_limits(flags: &ServeFlags) -> WriteLimits {
    let (write, dry_run) = (&flags.write, flags.dry_run);
    let bytes = |max: usize, is_dry_run, bound| split(max, is_dry_run, bound, usize::MAX);
    let count = |max, is_dry_run, min_bytes| {
        split(max, is_dry_run, write.max_decoded_size.0 / min_bytes, u64::MAX)
    };
    let labels = bytes(limit(write.max_labels), dry_run.max_labels, MAX_LABELS);
    let name = write.max_label_name_size.as_usize();
    let name = bytes(name, dry_run.max_label_name_size, MAX_LABEL_BYTES);
    let value = write.max_label_value_size.as_usize();
    let value = bytes(value, dry_run.max_label_value_size, MAX_LABEL_BYTES);
    let metadata = write.max_metadata_size.as_usize();
    let metadata = bytes(metadata, dry_run.max_metadata_size, MAX_METADATA_BYTES);
    let future_bound = millis(flags.storage.min_block_duration / FUTURE_PART_OF_BLOCK_RANGE);
    let future = split(millis(write.max_future), dry_run.max_future, future_bound, i64::MAX);
    let series = count(write.max_series, dry_run.max_series, MIN_SERIES_BYTES);
    let samples = count(write.max_samples, dry_run.max_samples, MIN_SAMPLE_BYTES);
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
        let maxima = |max, is_dry_run| {
            let split = split(max, is_dry_run, 100, u64::MAX);
            (split.enforced, split.dry_run)
        };
        assert_eq!(maxima(5, false), (5, u64::MAX));
        assert_eq!(maxima(5, true), (100, 5));
        assert_eq!(maxima(200, true), (200, 200));
    }
}
