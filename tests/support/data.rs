//! Generated data of many shapes, deterministic for a span.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::samples::{LabelSet, Samples};

/// Start of all data, 2025-11-05T00:00:00Z: in the past, and the start of a two-hour range.
pub(crate) const BEGIN: i64 = 1_762_300_800_000;

/// An hour in milliseconds.
pub(crate) const HOUR: i64 = 3_600_000;

/// Bits of the stale marker.
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

const SERIES: i64 = 24;

/// Intervals between samples, ms; each series uses one of them.
const INTERVALS: [i64; 6] = [5_000, 15_000, 30_000, 60_000, 61_234, 1_080_000];

/// Generates series over `span` ms from [`BEGIN`]: counters with resets, gauges, special values,
/// stale markers, series that start late or end early, UTF-8 names and values.
pub(crate) fn assorted(span: i64) -> Samples {
    let mut rng = StdRng::seed_from_u64(1);
    let mut samples = Samples::new();
    for number in 0..SERIES {
        let interval = INTERVALS[usize::try_from(number).expect("small") % INTERVALS.len()];
        let begin = if number % 4 == 3 { BEGIN + span / 3 } else { BEGIN };
        let end = if number % 5 == 4 { BEGIN + span / 2 } else { BEGIN + span };
        let labels = labels(number);
        let mut counter = 0.0;
        for t in (begin..end).step_by(usize::try_from(interval).expect("positive")) {
            counter = if rng.random_bool(0.01) {
                0.0
            } else {
                counter + f64::from(rng.random_range(0..100_u32))
            };
            let bits = match number % 4 {
                0 => counter.to_bits(),
                1 => (rng.random::<f64>() * 1e3).to_bits(),
                2 => f64::from(rng.random_range(0..5_u32)).to_bits(),
                _ => odd(&mut rng),
            };
            samples.add(&labels, t + number, bits);
        }
        if number % 5 == 4 {
            samples.add(&labels, end + number, STALE);
        }
    }
    samples
}

fn labels(number: i64) -> LabelSet {
    let name = match number % 3 {
        0 => "assorted_total",
        1 => "assorted:ratio",
        _ => "assorted_celsius",
    };
    let pairs = [("__name__", name), ("instance", "host:9100"), ("odd", "a\"b\\c\nd é🔥")];
    let mut labels: LabelSet =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    labels.push(("series".to_owned(), number.to_string()));
    labels
}

fn odd(rng: &mut StdRng) -> u64 {
    let all = [
        0.0,
        -0.0,
        1.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        f64::MIN_POSITIVE / 2.0,
        f64::MAX,
        -1e-7,
        1e23,
    ];
    match rng.random_range(0..12) {
        10 => STALE,
        11 => rng.random(),
        number => all[number].to_bits(),
    }
}
