//! Out-of-order samples across restarts, compared with a model: logged, read, compacted, merged and
//! deleted.

#![expect(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use crate::support::life::{BEGIN, HOUR, Life, MINUTE, minutes};
use narthex::model::time::TimeRange;
use narthex::tsdb::db::options::ShutdownMode;

/// Creates a database with an out-of-order window of two hours.
fn life() -> Life {
    Life::new(|options| options.settings.out_of_order_window_ms = 2 * HOUR)
}

/// Appends samples in any order.
fn put(life: &mut Life, names: &[&str], times: impl IntoIterator<Item = i64>) {
    life.put(names, times);
    life.model.values_mut().for_each(|samples| samples.sort_unstable());
}

/// Returns every minute of the range, newest first.
fn backwards(from: i64, to: i64) -> impl Iterator<Item = i64> {
    minutes(from, to).collect::<Vec<_>>().into_iter().rev()
}

/// Returns the hours of each block, and `true` for blocks of out-of-order samples.
fn outline(life: &Life) -> Vec<(i64, i64, bool)> {
    let hour = |t: i64| (t - BEGIN).div_euclid(HOUR);
    let blocks = life.blocks();
    let blocks = blocks.iter().map(|block| {
        let meta = block.meta();
        let is_ooo = meta.compaction.hints.iter().any(|hint| hint == "from-out-of-order");
        (hour(meta.min_time), hour(meta.max_time), is_ooo)
    });
    blocks.collect()
}

fn wbl_segments(life: &Life) -> usize {
    std::fs::read_dir(life.dir().join("wbl")).unwrap().count()
}

#[test]
fn ooo_samples_survive_crash_and_shutdown() {
    let mut life = life();
    put(&mut life, &["a", "b"], minutes(BEGIN + HOUR, BEGIN + 2 * HOUR));
    // Sealed and open chunks of out-of-order samples, newest first.
    put(&mut life, &["a"], backwards(BEGIN, BEGIN + HOUR));
    put(&mut life, &["ooo only"], minutes(BEGIN + 20 * MINUTE, BEGIN + 30 * MINUTE));
    life.check("before a restart");
    life.restart();
    life.restart();
}

#[test]
fn ooo_samples_are_compacted_into_blocks_and_merged() {
    let mut life = life();
    put(&mut life, &["a", "b"], minutes(BEGIN, BEGIN + 5 * HOUR - MINUTE));
    put(&mut life, &["ooo"], backwards(BEGIN + 3 * HOUR, BEGIN + 4 * HOUR + 30 * MINUTE));
    life.delete("ooo", TimeRange::new(BEGIN + 3 * HOUR, BEGIN + 3 * HOUR + 5 * MINUTE));
    life.restart();
    life.maintain();
    life.check("after the compaction");
    // Both ranges are not in blocks of in-order samples.
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

/// Prometheus lost samples after out-of-order compaction and a restart. A block in the range of the
/// head keeps its hint; without it, the start would replay no samples of that range.
#[test]
fn ooo_blocks_do_not_hide_wal_samples() {
    let mut life = life();
    put(&mut life, &["a"], minutes(BEGIN, BEGIN + 4 * HOUR + 50 * MINUTE));
    life.maintain();
    // A time jump: the head is not due, and out-of-order samples are in two of its ranges.
    put(&mut life, &["a"], [BEGIN + 6 * HOUR + 30 * MINUTE]);
    put(
        &mut life,
        &["ooo"],
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
fn ooo_samples_are_compacted_after_window_is_disabled() {
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
fn window_can_be_enabled_at_runtime() {
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
fn ooo_samples_are_replayed_with_chunk_snapshot() {
    let mut life = Life::new(|options| {
        options.settings.out_of_order_window_ms = 2 * HOUR;
        options.shutdown_mode = ShutdownMode::ChunkSnapshot;
    });
    put(&mut life, &["a"], minutes(BEGIN + HOUR, BEGIN + 2 * HOUR));
    for start in [40, 20, 0] {
        put(
            &mut life,
            &["a", "ooo only"],
            minutes(BEGIN + start * MINUTE, BEGIN + (start + 20) * MINUTE),
        );
        life.restart();
    }
}

/// In Prometheus, a query of out-of-order samples delayed compaction for hours.
#[test]
fn query_of_ooo_samples_does_not_delay_compaction() {
    let mut life = life();
    put(&mut life, &["a"], minutes(BEGIN, BEGIN + 4 * HOUR));
    put(&mut life, &["ooo"], minutes(BEGIN + 2 * HOUR + MINUTE, BEGIN + 3 * HOUR));
    let querier = life.db().querier();
    let matchers = [crate::support::life::named("ooo")];
    let series: Vec<_> =
        querier.select(&matchers, TimeRange::ALL).unwrap().map(|series| series.unwrap()).collect();
    life.maintain();
    assert!(outline(&life).iter().any(|block| block.2), "{:?}", outline(&life));
    let samples =
        series[0].float_samples(TimeRange::ALL).inspect(|sample| assert!(sample.is_ok())).count();
    assert_eq!(samples, 59);
    life.check("after the compaction");
}

/// After an outage of 90 minutes, one sender continues with new samples, and the other one catches
/// up.
#[test]
fn senders_of_different_speed_lose_no_samples_after_outage() {
    let mut life = life();
    let outage = BEGIN + 2 * HOUR;
    put(&mut life, &["fast", "slow"], minutes(BEGIN, outage));
    let outage_end = outage + 90 * MINUTE;
    // Ten minutes of the slow sender per four of the fast one, until it has caught up. The head is
    // compacted in between.
    let (mut fast, mut slow) = (outage_end, outage);
    put(&mut life, &["fast"], [outage_end]);
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
            life.check("while the slow sender catches up");
        }
    }
    life.maintain();
    assert!(!outline(&life).is_empty());
    life.restart();
    put(&mut life, &["fast", "slow"], minutes(fast + MINUTE, fast + 4 * HOUR));
    life.maintain();
    life.restart();
}
