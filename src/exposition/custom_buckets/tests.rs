//! Histograms that are converted, left out or passed on.

use super::{CustomBucketsParser, parse_bound};
use crate::exposition::entry_lines::entry_lines;
use crate::exposition::openmetrics::OpenMetricsParser;
use crate::exposition::parser::Parser;
use crate::exposition::text::TextParser;

const NATIVE: &str = "h integer schema=-53 zero=0/0 count=4 sum=7.5 [] [0:1 1:2 2:1] [1.0, 2.0]";

/// Returns the entries of a text body without the classic series of histograms.
fn converted(body: &str) -> Vec<String> {
    entry_lines(CustomBucketsParser::new(TextParser::new(body.as_bytes()), false))
        .expect("the body is well-formed")
}

/// Returns the entries of an OpenMetrics body with start timestamps.
fn converted_openmetrics(body: &str, keep_classic: bool) -> Vec<String> {
    let parser = OpenMetricsParser::new(body.as_bytes(), true);
    entry_lines(CustomBucketsParser::new(parser, keep_classic)).expect("the body is well-formed")
}

/// Returns the lines of the histogram `h` with the buckets `lines`.
fn body(lines: &[&str]) -> String {
    let mut body = "# TYPE h histogram\n".to_owned();
    lines.iter().for_each(|line| body.extend(["h", line, "\n"]));
    body
}

#[test]
fn complete_histogram_becomes_one_sample() {
    let complete = body(&[
        r#"_bucket{le="1"} 1"#,
        r#"_bucket{le="2"} 3"#,
        r#"_bucket{le="+Inf"} 4"#,
        "_sum 7.5",
        "_count 4",
    ]);
    assert_eq!(converted(&complete), ["TYPE h histogram", NATIVE]);
    let parser = TextParser::new(complete.as_bytes());
    assert_eq!(
        entry_lines(CustomBucketsParser::new(parser, true)).unwrap(),
        [
            "TYPE h histogram",
            r#"h_bucket{le="1.0"} 1"#,
            r#"h_bucket{le="2.0"} 3"#,
            r#"h_bucket{le="+Inf"} 4"#,
            "h_sum 7.5",
            "h_count 4",
            NATIVE,
        ]
    );
}

#[test]
fn absent_and_unordered_parts_are_accepted() {
    let one = r#"_bucket{le="1"} 1"#;
    let two = r#"_bucket{le="2"} 3"#;
    let inf = r#"_bucket{le="+Inf"} 4"#;
    let accepted: [&[&str]; 4] = [
        &[one, two, "_sum 7.5", "_count 4"],
        &[one, two, inf, "_sum 7.5"],
        &["_count 4", "_sum 7.5", inf, two, one],
        &[one, two, two, inf, "_sum 7.5", "_count 4"],
    ];
    for lines in accepted {
        assert_eq!(converted(&body(lines)), ["TYPE h histogram", NATIVE], "{lines:?}");
    }
    let empty = "h integer schema=-53 zero=0/0 count=0 sum=7.5 [] [] []";
    assert_eq!(converted(&body(&["_sum 7.5"])), ["TYPE h histogram", empty]);
}

#[test]
fn comment_does_not_end_histogram() {
    let mut text = body(&[r#"_bucket{le="1"} 1"#, r#"_bucket{le="2"} 3"#]);
    text.push_str("# comment\n\nh_bucket{le=\"+Inf\"} 4\nh_sum 7.5\nh_count 4\n");
    assert_eq!(converted(&text), ["TYPE h histogram", NATIVE]);
}

#[test]
fn unconvertible_histogram_is_left_out() {
    let good = r#"_bucket{le="1"} 1"#;
    let rejected: [&[&str]; 6] = [
        &[good, r#"_bucket{le="2"} 0"#, "_count 4"],
        &[r#"_bucket{le="1"} -1"#, "_count 4"],
        &[good, r#"_bucket{le="+Inf"} 4"#, "_count 9"],
        &[good, "_count -1"],
        &[good, r#"_bucket{le="+Inf"} NaN"#, "_count NaN"],
        &[r#"_bucket{le="1"} 5"#, "_count 4"],
    ];
    for lines in rejected {
        let mut text = body(lines);
        text.push_str("# TYPE x gauge\nx 1\n");
        let entries = converted(&text);
        assert_eq!(entries, ["TYPE h histogram", "TYPE x gauge", "x 1"], "{lines:?}");
    }
    // The defect does not reach the next histogram.
    let mut text = body(&[r#"_bucket{a="1",le="1"} -1"#, r#"_count{a="1"} 4"#]);
    text.push_str("h_bucket{a=\"2\",le=\"1\"} 1\nh_count{a=\"2\"} 4\n");
    let native = r#"h{a="2"} integer schema=-53 zero=0/0 count=4 sum=0 [] [0:1 1:3] [1.0]"#;
    assert_eq!(converted(&text), ["TYPE h histogram", native]);
}

#[test]
fn other_series_pass() {
    let passing: [(&str, &[&str]); 6] = [
        ("h_bucket{le=\"1\"} 1\nh_count 1\n", &[r#"h_bucket{le="1"} 1"#, "h_count 1"]),
        ("# TYPE h counter\nh_bucket{le=\"1\"} 1\n", &["TYPE h counter", r#"h_bucket{le="1"} 1"#]),
        (
            "# TYPE h histogram\nother_bucket{le=\"1\"} 1\nother_sum 1\n",
            &["TYPE h histogram", r#"other_bucket{le="1.0"} 1"#, "other_sum 1"],
        ),
        (
            "# TYPE h histogram\nh 1\nh_created 2\nh_bucket 3\n",
            &["TYPE h histogram", "h 1", "h_created 2", "h_bucket 3"],
        ),
        (
            "# TYPE h histogram\nh_bucket{le=\"x\"} 1\nh_bucket{le=\"NaN\"} 2\n",
            &["TYPE h histogram", r#"h_bucket{le="x"} 1"#, r#"h_bucket{le="NaN"} 2"#],
        ),
        ("", &[]),
    ];
    for (text, lines) in passing {
        assert_eq!(converted(text), lines, "{text}");
    }
}

#[test]
fn metadata_and_other_labels_end_histogram() {
    let text = "# TYPE h histogram\n\
                h_bucket{a=\"1\",le=\"1\"} 1\nh_count{a=\"1\"} 1\n\
                h_bucket{a=\"2\",le=\"1\"} 2\nh_count{a=\"2\"} 2\n\
                # HELP x text\nx 1\nh_count 3\n# TYPE y gauge\n";
    let native = |labels: &str, count: u32| {
        format!("h{labels} integer schema=-53 zero=0/0 count={count} sum=0 [] [0:{count}] [1.0]")
    };
    assert_eq!(
        converted(text),
        [
            "TYPE h histogram".to_owned(),
            native(r#"{a="1"}"#, 1),
            native(r#"{a="2"}"#, 2),
            r#"HELP x "text""#.to_owned(),
            "x 1".to_owned(),
            "h integer schema=-53 zero=0/0 count=3 sum=0 [] [0:3] []".to_owned(),
            "TYPE y gauge".to_owned(),
        ]
    );
}

#[test]
fn scattered_series_come_apart() {
    let text =
        body(&[r#"_bucket{a="1",le="1"} 1"#, r#"_bucket{a="2",le="1"} 2"#, r#"_count{a="1"} 4"#]);
    assert_eq!(
        converted(&text),
        [
            "TYPE h histogram",
            r#"h{a="1"} integer schema=-53 zero=0/0 count=1 sum=0 [] [0:1] [1.0]"#,
            r#"h{a="2"} integer schema=-53 zero=0/0 count=2 sum=0 [] [0:2] [1.0]"#,
            r#"h{a="1"} integer schema=-53 zero=0/0 count=4 sum=0 [] [0:4] []"#,
        ]
    );
}

#[test]
fn timestamp_is_that_of_own_series() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1 100\nh_count 1 100\nh_x 1 200\n";
    let native = "h integer schema=-53 zero=0/0 count=1 sum=0 [] [0:1] [1.0] @100";
    assert_eq!(converted(text), ["TYPE h histogram", native, "h_x 1 @200"]);
}

#[test]
fn exemplars_and_start_timestamp_are_kept() {
    let text = "# TYPE h histogram\n\
                h_bucket{le=\"1\"} 1 # {id=\"a\"} 0.5 1.5\n\
                h_bucket{le=\"2\"} 2 # {id=\"b\"} 1.5\n\
                h_bucket{le=\"+Inf\"} 3 # {id=\"c\",z=\"\"} 5 2\n\
                h_sum 7\nh_count 3\nh_created 10.5\n# EOF\n";
    let native = "h integer schema=-53 zero=0/0 count=3 sum=7 [] [0:1 1:1 2:1] [1.0, 2.0] st=10500 \
                  # {id=\"a\"} 0.5 @1500 # {id=\"c\",z=\"\"} 5 @2000";
    assert_eq!(converted_openmetrics(text, false), ["TYPE h histogram", native]);
    let kept = converted_openmetrics(text, true);
    assert_eq!(kept.len(), 7);
    assert_eq!(kept[2], "h_bucket{le=\"2.0\"} 2 st=10500 # {id=\"b\"} 1.5");
    assert_eq!(kept[6], native);
    // A gauge histogram does not convert.
    let gauge = "# TYPE h gaugehistogram\nh_bucket{le=\"1\"} 1\nh_gsum 3\nh_gcount 2\n# EOF\n";
    assert_eq!(
        converted_openmetrics(gauge, false),
        ["TYPE h gaugehistogram", "h_bucket{le=\"1\"} 1", "h_gsum 3", "h_gcount 2"]
    );
}

#[test]
fn keys_tell_histograms_apart() {
    let text = "# TYPE h histogram\nh_count 1\nh_count{a=\"1\",b=\"2\"} 1\nh_count{a=\"1b\"} 1\n";
    let mut parser = CustomBucketsParser::new(TextParser::new(text.as_bytes()), false);
    let mut keys = Vec::new();
    while parser.next_entry().unwrap().is_some() {
        keys.push(parser.series().key.to_vec());
    }
    assert_eq!(keys[1..], [&b"h"[..], b"h\xffa\xff1\xffb\xff2", b"h\xffa\xff1b"]);
}

#[test]
fn error_after_histogram_is_reported() {
    let text = body(&[r#"_bucket{le="1"} 1"#, "_count 1", " x"]);
    let parser = TextParser::new(text.as_bytes());
    let mut parser = CustomBucketsParser::new(parser, false);
    assert!(parser.next_entry().unwrap().is_some());
    assert!(parser.next_entry().is_err());
}

#[test]
fn bounds_are_numbers() {
    let cases = [
        ("1.0", Some(1.0)),
        ("-1e+06", Some(-1e6)),
        ("+Inf", Some(f64::INFINITY)),
        ("-inf", Some(f64::NEG_INFINITY)),
        ("1e400", None),
        ("NaN", None),
        ("", None),
        ("1s", None),
    ];
    for (text, bound) in cases {
        assert_eq!(parse_bound(text), bound, "{text}");
    }
}
