//! Late samples in a database through its lives: logged, read, made blocks of, merged, deleted,
//! beside a plain model.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::life::{BEGIN, HOUR, Life, MINUTE, minutes};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::options::ShutdownMode;

/// With an out-of-order window of two hours.
fn life() -> Life {
    Life::new(|options| options.settings.out_of_order_window_ms = 2 * HOUR)
}

/// Samples in whatever order.
fn put(life: &mut Life, names: &[&str], times: impl IntoIterator<Item = i64>) {
    life.put(names, times);
    life.model.values_mut().for_each(|samples| samples.sort_unstable());
}

/// Every minute of these times, the newest first.
fn backwards(from: i64, to: i64) -> impl Iterator<Item = i64> {
    minutes(from, to).collect::<Vec<_>>().into_iter().rev()
}

/// The hours and the hint of each block.
fn outline(life: &Life) -> Vec<(i64, i64, bool)> {
    let hour = |t: i64| (t - BEGIN).div_euclid(HOUR);
    let blocks = life.blocks();
    let blocks = blocks.iter().map(|block| {
        let meta = block.meta();
        let is_late = meta.compaction.hints.iter().any(|hint| hint == "from-out-of-order");
        (hour(meta.min_time), hour(meta.max_time), is_late)
    });
    blocks.collect()
}

fn wbl_segments(life: &Life) -> usize {
    std::fs::read_dir(life.dir().join("wbl")).unwrap().count()
}

#[test]
fn late_samples_outlive_a_crash_and_a_stop() {
    let mut life = life();
    put(&mut life, &["a", "b"], minutes(BEGIN + HOUR, BEGIN + 2 * HOUR));
    // Full chunks of late samples and open ones, newest first.
    put(&mut life, &["a"], backwards(BEGIN, BEGIN + HOUR));
    put(&mut life, &["late only"], minutes(BEGIN + 20 * MINUTE, BEGIN + 30 * MINUTE));
    life.check("before a restart");
    life.restart();
    life.restart();
}

#[test]
fn ooo_samples_are_compacted_into_blocks_and_merged() {
    let mut life = life();
    put(&mut life, &["a", "b"], minutes(BEGIN, BEGIN + 5 * HOUR - MINUTE));
    put(&mut life, &["late"], backwards(BEGIN + 3 * HOUR, BEGIN + 4 * HOUR + 30 * MINUTE));
    life.delete("late", TimeRange::new(BEGIN + 3 * HOUR, BEGIN + 3 * HOUR + 5 * MINUTE));
    life.restart();
    life.maintain();
    life.check("after the compaction");
    // What lies in 2 to 4 h and in 4 to 6 h: neither is in a block of samples in order.
    assert_eq!(outline(&life), [(0, 2, false), (2, 4, true), (4, 6, true)]);
    assert_eq!(wbl_segments(&life), 1);
    life.restart();
    put(&mut life, &["a", "b"], minutes(BEGIN + 5 * HOUR, BEGIN + 8 * HOUR));
    life.maintain();
    life.check("after another compaction");
    assert!(
        outline(&life).iter().filter(|block| block.2).all(|block| block.0 >= 6),
        "{:?}",
        outline(&life)
    );
    life.restart();
}

/// Prometheus lost samples where late ones were compacted and a restart came. Of times that the
/// head still has, a block of late samples keeps its hint: else the start would take no samples of
/// these times from the log.
#[test]
fn blocks_of_late_samples_do_not_hide_the_log() {
    let mut life = life();
    put(&mut life, &["a"], minutes(BEGIN, BEGIN + 4 * HOUR + 50 * MINUTE));
    life.maintain();
    // Its time jumps: the head is not due, and late samples come of two ranges that it has.
    put(&mut life, &["a"], [BEGIN + 6 * HOUR + 30 * MINUTE]);
    put(
        &mut life,
        &["late"],
        backwards(BEGIN + 4 * HOUR + 40 * MINUTE, BEGIN + 6 * HOUR + 20 * MINUTE),
    );
    life.maintain();
    assert_eq!(outline(&life), [(0, 2, false), (2, 4, false), (4, 6, true), (6, 8, true)]);
    life.check("after the jump");
    life.restart();
    life.maintain();
    life.restart();
}

#[test]
fn what_came_late_becomes_blocks_when_the_window_is_turned_off() {
    let mut life = life();
    put(&mut life, &["a"], minutes(BEGIN + HOUR, BEGIN + 2 * HOUR));
    put(&mut life, &["a"], minutes(BEGIN, BEGIN + HOUR));
    life.restart_with(|options| options.settings.out_of_order_window_ms = 0);
    life.check("without a window");
    life.maintain();
    assert_eq!(outline(&life), [(0, 2, true)]);
    life.check("without a window, compacted");
    assert_eq!(wbl_segments(&life), 1);
    life.restart();
}

#[test]
fn the_window_can_be_turned_on_while_the_database_runs() {
    let mut life = Life::new(|_| {});
    put(&mut life, &["a"], minutes(BEGIN + HOUR, BEGIN + 2 * HOUR));
    assert!(!life.dir().join("wbl").exists());
    let mut settings = life.db().settings();
    settings.out_of_order_window_ms = HOUR;
    life.db().apply_settings(settings).unwrap();
    put(&mut life, &["a"], minutes(BEGIN + 59 * MINUTE, BEGIN + HOUR));
    life.restart();
}

#[test]
fn late_samples_are_there_beside_a_snapshot_of_the_head() {
    let mut life = Life::new(|options| {
        options.settings.out_of_order_window_ms = 2 * HOUR;
        options.shutdown_mode = ShutdownMode::ChunkSnapshot;
    });
    put(&mut life, &["a"], minutes(BEGIN + HOUR, BEGIN + 2 * HOUR));
    for begin in [40, 20, 0] {
        put(
            &mut life,
            &["a", "late only"],
            minutes(BEGIN + begin * MINUTE, BEGIN + (begin + 20) * MINUTE),
        );
        life.restart();
    }
}

/// A query of late samples held back compaction of Prometheus for hours.
#[test]
fn a_query_of_late_samples_does_not_hold_up_their_compaction() {
    let mut life = life();
    put(&mut life, &["a"], minutes(BEGIN, BEGIN + 4 * HOUR));
    put(&mut life, &["late"], minutes(BEGIN + 2 * HOUR + MINUTE, BEGIN + 3 * HOUR));
    let querier = life.db().querier();
    let matchers = [crate::support::life::named("late")];
    let held: Vec<_> =
        querier.select(&matchers, TimeRange::ALL).unwrap().map(|series| series.unwrap()).collect();
    life.maintain();
    assert!(outline(&life).iter().any(|block| block.2), "{:?}", outline(&life));
    let samples =
        held[0].float_samples(TimeRange::ALL).inspect(|sample| assert!(sample.is_ok())).count();
    assert_eq!(samples, 59);
    life.check("after the compaction");
}

/// For 90 minutes nothing can be sent. Then one sender goes on with what is new, the other catches
/// up from where it was.
#[test]
fn outage_of_two_senders_of_different_speed_loses_no_sample() {
    let mut life = life();
    let outage = BEGIN + 2 * HOUR;
    put(&mut life, &["fast", "slow"], minutes(BEGIN, outage));
    let back = outage + 90 * MINUTE;
    // For each minute of the one, ten of the other, until it has caught up; the head is compacted
    // meanwhile.
    let (mut fast, mut slow) = (back, outage);
    put(&mut life, &["fast"], [back]);
    let mut rounds = 0;
    while slow < fast {
        put(&mut life, &["fast"], minutes(fast + MINUTE, fast + 5 * MINUTE));
        fast += 4 * MINUTE;
        let until = (slow + 10 * MINUTE).min(fast);
        put(&mut life, &["slow"], minutes(slow, until));
        slow = until;
        rounds += 1;
        if rounds % 5 == 0 {
            life.maintain();
            life.check("while one catches up");
        }
    }
    life.maintain();
    assert!(!outline(&life).is_empty());
    life.restart();
    put(&mut life, &["fast", "slow"], minutes(fast + MINUTE, fast + 4 * HOUR));
    life.maintain();
    life.restart();
}
