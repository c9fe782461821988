//! The oracles prove themselves: what the other tests hold narthex against is held against
//! Prometheus here.
//!
//! Debian's Prometheus takes what the tests' sender writes, and its remote read, its directory and
//! `promtool` give it back exactly; it reads the golden cases as their expected samples say. So a
//! difference that another test shows is narthex's.

use crate::support::golden;
use crate::support::launch::Launch;
use crate::support::samples::Samples;
use crate::support::{data, dir, dump, samples};

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn debians_prometheus_returns_exactly_what_was_written() {
    let place = dir::temp();
    let folder = place.path().join("data");
    let sent = data::assorted(2 * data::HOUR);
    assert!(sent.count() > 5_000);

    let server = Launch::prometheus(&folder, "").start();
    server.remote().write_all(&sent);
    server.assert_holds(&sent, "remote read while running");
    server.stop();

    dump::dump(&folder).with_one_nan().assert_equals(&sent.with_one_nan(), "promtool tsdb dump");
    let server = Launch::prometheus(&folder, "").start();
    server.assert_holds(&sent, "remote read after a restart");
}

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn debian_prometheus_reads_float_golden_cases_as_expected() {
    let cases = [
        "wal-killed",
        "torn-tail",
        "torn-zeroed-tail",
        "torn-bitflip-last-segment",
        "torn-bitflip-first-segment",
    ];
    for case in cases {
        let place = dir::temp();
        let server = Launch::prometheus(&golden::unpack(case, place.path()), "").start();
        server.assert_holds(&golden::expected_floats(case), case);
    }
}

#[test]
fn a_dump_line_is_read_with_its_escapes() {
    let line = r#"{__name__="a\nb", le="\"+Inf\"", x="é\x01\u2028"} -1.5e-07 1762300800000"#;
    let (labels, t, value) = dump::parse_line(line).expect("the line has the right form");
    let pairs: Vec<(&str, &str)> =
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("__name__", "a\nb"), ("le", "\"+Inf\""), ("x", "é\u{1}\u{2028}")]);
    assert_eq!((t, value), (1_762_300_800_000, -1.5e-7));
}

#[test]
fn a_comparison_sees_a_missing_a_foreign_and_a_changed_sample() {
    let labels: samples::LabelSet = vec![("__name__".to_owned(), "x".to_owned())];
    let mut whole = Samples::new();
    whole.add(&labels, 1, f64::NAN.to_bits());
    whole.add(&labels, 2, 1);
    let part = whole.from(2);
    assert_eq!(whole.beyond(&part).count(), 1);
    assert_eq!(part.beyond(&whole).count(), 0);

    let mut changed = part.clone();
    changed.add(&labels, 1, f64::NAN.to_bits() | 1);
    assert_eq!((changed.beyond(&whole).count(), whole.beyond(&changed).count()), (1, 1));
    assert_eq!(changed.with_one_nan(), whole.with_one_nan());
}
