//! Tests of the oracles that other tests compare narthex with.
//!
//! Debian's Prometheus stores what the sender of the tests writes, and returns it exactly by remote
//! read, in its directory and by `promtool`. It reads the golden cases with their expected samples.
//! So a difference in another test is a fault of narthex.

use crate::support::golden;
use crate::support::launch::Launch;
use crate::support::samples::Samples;
use crate::support::{data, dir, dump, samples};

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn debian_prometheus_returns_written_samples_exactly() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let sent = data::assorted(2 * data::HOUR);
    assert!(sent.count() > 5_000);

    let server = Launch::prometheus(&data, "").start();
    server.remote().write_all(&sent);
    server.assert_holds(&sent, "remote read while running");
    server.stop();

    dump::dump(&data).with_one_nan().assert_equals(&sent.with_one_nan(), "promtool tsdb dump");
    let server = Launch::prometheus(&data, "").start();
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
        let temp_dir = dir::temp();
        let server = Launch::prometheus(&golden::unpack(case, temp_dir.path()), "").start();
        server.assert_holds(&golden::expected_floats(case), case);
    }
}

#[test]
fn dump_line_is_parsed_with_escapes() {
    let line = r#"{__name__="a\nb", le="\"+Inf\"", x="é\x01\u2028"} -1.5e-07 1762300800000"#;
    let (labels, t, value) = dump::parse_line(line).expect("a valid line");
    let pairs: Vec<(&str, &str)> =
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("__name__", "a\nb"), ("le", "\"+Inf\""), ("x", "é\u{1}\u{2028}")]);
    assert_eq!((t, value), (1_762_300_800_000, -1.5e-7));
}

#[test]
fn comparison_detects_missing_foreign_and_changed_samples() {
    let labels: samples::LabelSet = vec![("__name__".to_owned(), "x".to_owned())];
    let mut all = Samples::new();
    all.add(&labels, 1, f64::NAN.to_bits());
    all.add(&labels, 2, 1);
    let part = all.from(2);
    assert_eq!(all.beyond(&part).count(), 1);
    assert_eq!(part.beyond(&all).count(), 0);

    let mut changed = part.clone();
    changed.add(&labels, 1, f64::NAN.to_bits() | 1);
    assert_eq!((changed.beyond(&all).count(), all.beyond(&changed).count()), (1, 1));
    assert_eq!(changed.with_one_nan(), all.with_one_nan());
}
