//! Samples at any 64-bit timestamp are stored exactly or rejected, and do not affect others.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::life::{BEGIN, HOUR, Life, labels, minutes};
use narthex::model::float_sample::FloatSample;
use narthex::model::refs::SeriesRef;
use narthex::model::sample::Sample;
use narthex::model::time::TimeRange;
use narthex::tsdb::fs::os_disk::OsDisk;
use narthex::tsdb::head::append::sample_rejection::SampleRejection;
use narthex::tsdb::wal::batch::LogBatch;
use narthex::tsdb::wal::compression::RecordCompression;
use narthex::tsdb::wal::write_log::{SyncMode, Wal, WalOptions};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use std::sync::Arc;

const STORABLE: TimeRange = TimeRange::STORABLE;

/// Appends samples of one series in one request, adds accepted ones to the model and returns the
/// rejected ones.
fn append(life: &mut Life, series: &str, times: &[i64]) -> Vec<(i64, SampleRejection)> {
    let labels = labels(series);
    let samples = times.iter().map(|t| Sample::from(FloatSample::new(*t, *t as f64)));
    let mut rejected = Vec::new();
    let mut appender = life.db().appender().unwrap();
    appender
        .append_or_create(&labels, samples, |sample, why| rejected.push((sample.t, why)))
        .unwrap();
    appender.commit().unwrap();
    let accepted = times.iter().filter(|t| !rejected.iter().any(|(at, _)| at == *t));
    let accepted: Vec<(i64, u64)> = accepted.map(|t| (*t, (*t as f64).to_bits())).collect();
    if !accepted.is_empty() {
        let stored = life.model.entry(labels.to_string()).or_default();
        stored.extend(accepted);
        stored.sort_unstable();
        stored.dedup();
    }
    rejected
}

#[test]
fn rejected_extreme_timestamps_do_not_affect_others() {
    let mut life = Life::new(|_| {});
    for t in [
        i64::MIN,
        i64::MIN + 1,
        i64::MIN + 2 * HOUR,
        STORABLE.mint - 1,
        STORABLE.maxt + 1,
        i64::MAX,
    ] {
        assert_eq!(append(&mut life, "a", &[t]), [(t, SampleRejection::OutOfRange)]);
    }
    life.put(&["a", "b"], minutes(BEGIN, BEGIN + 5 * HOUR));
    assert_eq!(
        append(&mut life, "a", &[i64::MIN + HOUR]),
        [(i64::MIN + HOUR, SampleRejection::OutOfRange)]
    );
    life.maintain();
    life.check("after maintenance");
    life.restart();
    life.put(&["a", "b", "c"], minutes(BEGIN + 5 * HOUR, BEGIN + 9 * HOUR));
    life.maintain();
    life.restart();
    assert!(life.blocks().iter().all(|block| block.meta().min_time >= BEGIN));
}

#[test]
fn lowest_storable_timestamp_is_stored_exactly() {
    let mut life = Life::new(|_| {});
    assert_eq!(append(&mut life, "a", &[STORABLE.mint, STORABLE.mint + 1]), []);
    life.put(&["a", "b"], minutes(BEGIN, BEGIN + 5 * HOUR));
    life.maintain();
    life.check("after maintenance");
    life.restart();
    life.put(&["a", "b"], minutes(BEGIN + 5 * HOUR, BEGIN + 9 * HOUR));
    life.maintain();
    life.restart();
}

/// Earlier versions accepted such samples.
#[test]
fn lowest_timestamps_in_wal_are_replayed() {
    let mut life = Life::new(|_| {});
    life.end();
    let wal = Wal::open(WalOptions {
        dir: life.dir().join("wal"),
        segment_size: 1 << 20,
        compression: RecordCompression::None,
        sync: SyncMode::Os,
        disk: Arc::new(OsDisk),
    });
    let (wal, mut batch) = (wal.unwrap(), LogBatch::default());
    batch.push_series(SeriesRef(1), &labels("a"));
    let times = [i64::MIN + 1_000, i64::MIN + HOUR, i64::MIN + 3 * HOUR, BEGIN, BEGIN + HOUR];
    times
        .iter()
        .for_each(|t| batch.push_sample(SeriesRef(1), &FloatSample::new(*t, *t as f64).into()));
    wal.wait(wal.enqueue(&mut batch)).unwrap();
    wal.close().unwrap();
    drop(wal);
    life.start();
    life.model.insert(labels("a").to_string(), times.map(|t| (t, (t as f64).to_bits())).to_vec());
    life.check("after the replay");
    life.put(&["a", "b"], minutes(BEGIN + 2 * HOUR, BEGIN + 3 * HOUR));
    life.maintain();
    life.check("after maintenance");
    life.restart();
    life.put(&["a", "b"], minutes(BEGIN + 3 * HOUR, BEGIN + 9 * HOUR));
    life.maintain();
    life.restart();
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize, Vec<i64>),
    Maintain,
    Restart,
}

fn arb_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => any::<i64>(),
        2 => (0..3 * HOUR).prop_map(|t| i64::MIN + t),
        2 => (0..3 * HOUR).prop_map(|t| i64::MAX - t),
        2 => (-HOUR..3 * HOUR).prop_map(|t| STORABLE.mint + t),
        1 => (-3 * HOUR..HOUR).prop_map(|t| STORABLE.maxt + t),
        2 => -5 * HOUR..5 * HOUR,
        4 => BEGIN..BEGIN + 20 * HOUR,
    ]
}

fn arb_step() -> impl Strategy<Value = Step> {
    let mixed = proptest::collection::vec(arb_time(), 1..12);
    // Sorted, so that they are accepted without a window, too.
    let sorted = proptest::collection::vec(arb_time(), 1..12).prop_map(|mut times| {
        times.sort_unstable();
        times
    });
    prop_oneof![
        4 => (0usize..3, mixed).prop_map(|(series, times)| Step::Append(series, times)),
        4 => (0usize..3, sorted).prop_map(|(series, times)| Step::Append(series, times)),
        1 => Just(Step::Maintain),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sample_at_any_time_is_rejected_or_stored_exactly(
        steps in proptest::collection::vec(arb_step(), 1..12),
        window in prop_oneof![Just(0), Just(2 * HOUR), Just(i64::MAX)],
    ) {
        let mut life = Life::new(|options| options.settings.out_of_order_window_ms = window);
        let mut newest = i64::MIN;
        for step in steps {
            match step {
                Step::Append(series, times) => {
                    let rejected = append(&mut life, ["a", "b", "c"][series], &times);
                    for t in times {
                        let why = rejected.iter().find(|(at, _)| *at == t).map(|(_, why)| *why);
                        prop_assert_eq!(why == Some(SampleRejection::OutOfRange), !STORABLE.contains(t), "{} is {:?}", t, why);
                        if STORABLE.contains(t) && t > newest {
                            prop_assert_eq!(why, None, "{}", t);
                            newest = t;
                        }
                    }
                }
                Step::Maintain => life.maintain(),
                Step::Restart => life.restart(),
            }
            life.check("after a step");
        }
    }
}
