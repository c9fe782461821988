//! Tests of OpenMetrics: tables from the grammar, and start timestamps.

use super::OpenMetricsParser;
use crate::exposition::entry_lines::{Parsed, parse};
use crate::exposition::parse_error::{ParseError, TextProblem};
use crate::exposition::parser::Parser;
use proptest::prelude::{prop, prop_assert_eq, proptest};

fn parse_body(body: &[u8]) -> Parsed {
    parse(OpenMetricsParser::new(body, false))
}

/// Returns the entries of a valid body without metadata, with start timestamps.
fn parse_starts(body: &str) -> Vec<String> {
    let parsed = parse(OpenMetricsParser::new(format!("{body}# EOF\n").as_bytes(), true));
    assert_eq!(parsed.error, None, "{body}");
    let is_series = |entry: &String| !entry.starts_with("TYPE ") && !entry.starts_with("HELP ");
    parsed.entries.into_iter().filter(is_series).collect()
}

#[test]
fn valid_bodies_have_their_entries() {
    let cases: &[(&[u8], &[&str])] = &[
        (b"# EOF", &[]),
        (b"# EOF\n", &[]),
        (b"a 1\n# EOF", &["a 1"]),
        (b"a{} 1 1.5\n# EOF", &["a 1 @1500"]),
        (b"a{x=\"y\",} -Inf -1.0009\n# EOF", &[r#"a{x="y"} -inf @-1000"#]),
        (b"a NaN 1e3\n# EOF", &["a NaN @1000000"]),
        (b"{\"a.b\",\"c d\"=\"e\"} 1\n# EOF", &[r#"a.b{c d="e"} 1"#]),
        (b"{x=\"1\",\"a\"} 1\n# EOF", &[r#"a{x="1"} 1"#]),
        (b"a{x=\"\\\\\\n\\\"\\t\"} 1\n# EOF", &[r#"a{x="\\\n\"\\t"} 1"#]),
        (b"a_created 1\n# EOF", &["a_created 1"]),
        (b"a 1 # {} 2\n# EOF", &["a 1 # {} 2"]),
        (b"a 1 5 # {t=\"x\",\"b c\"=\"y\\n\",} NaN -1.5\n# EOF", &[
            r#"a 1 @5000 # {b c="y\\n",t="x"} NaN @-1500"#,
        ]),
        (b"# HELP a b \\\" \\n\n# HELP a \n# EOF", &[r#"HELP a "b \" \n""#, r#"HELP a """#]),
        (b"# TYPE \"a.b\" stateset\n# TYPE c info\n# TYPE d unknown\n# TYPE e gaugehistogram\n# EOF", &[
            "TYPE a.b stateset",
            "TYPE c info",
            "TYPE d unknown",
            "TYPE e gaugehistogram",
        ]),
        (b"# UNIT a_seconds seconds\n# UNIT a \n# EOF", &[
            r#"UNIT a_seconds "seconds""#,
            r#"UNIT a """#,
        ]),
        (b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\n# TYPE s summary\ns{quantile=\"1e-5\"} 1\n# EOF", &[
            "TYPE h histogram",
            r#"h_bucket{le="1.0"} 1"#,
            "TYPE s summary",
            r#"s{quantile="1e-05"} 1"#,
        ]),
    ];
    for (body, entries) in cases {
        let parsed = parse_body(body);
        let found: Vec<&str> = parsed.entries.iter().map(String::as_str).collect();
        assert_eq!((found.as_slice(), parsed.error), (*entries, None), "{}", body.escape_ascii());
    }
}

#[test]
fn malformed_bodies_name_problem_and_place() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "data does not end with # EOF at line 1, column 1 near \"\""),
        (b"a 1\n", "data does not end with # EOF at line 2, column 1 near \"\""),
        (b"a 1", "data does not end with # EOF at line 1, column 4 near \"a 1\""),
        (b"# EOF\n\n", "unexpected data after # EOF at line 1, column 6 near \"# EOF\""),
        (b"# EOFx", "unexpected data after # EOF at line 1, column 6 near \"# EOFx\""),
        (b"\n# EOF", "expected a metric name or a comment at line 1, column 1 near \"\""),
        (b" a 1\n# EOF", "expected a metric name or a comment at line 1, column 1 near \" a 1\""),
        (
            b"# comment\n# EOF",
            "expected a metric name or a comment at line 1, column 1 near \"# comment\"",
        ),
        (
            b"#HELP a b\n# EOF",
            "expected a metric name or a comment at line 1, column 1 near \"#HELP a b\"",
        ),
        (b"a  1\n# EOF", "expected a value after metric at line 1, column 2 near \"a  1\""),
        (b"a\t1\n# EOF", "expected a value after metric at line 1, column 2 near \"a\\t1\""),
        (b"a {} 1\n# EOF", "invalid float at line 1, column 3 near \"a {} 1\""),
        (b"a{}1\n# EOF", "expected a value after metric at line 1, column 4 near \"a{}1\""),
        (
            b"a{ x=\"y\"} 1\n# EOF",
            "expected a label name at line 1, column 3 near \"a{ x=\\\"y\\\"} 1\"",
        ),
        (
            b"a{x=\"y\" z=\"w\"} 1\n# EOF",
            "expected ',' or '}' after the label value at line 1, column 8 near \"a{x=\\\"y\\\" z=\\\"w\\\"} 1\"",
        ),
        (
            b"a{x=\"y\nz\"} 1\n# EOF",
            "expected a quoted label value at line 1, column 5 near \"a{x=\\\"y\"",
        ),
        (
            b"a 1 \n# EOF",
            "expected a timestamp or the end of the line at line 1, column 4 near \"a 1 \"",
        ),
        (b"a 1 NaN\n# EOF", "invalid timestamp at line 1, column 5 near \"a 1 NaN\""),
        (
            b"a 1 2 3\n# EOF",
            "expected the end of the line after sample at line 1, column 6 near \"a 1 2 3\"",
        ),
        (
            b"a 1 # {x=1} 1\n# EOF",
            "expected a quoted label value at line 1, column 10 near \"a 1 # {x=1} 1\"",
        ),
        (
            b"a 1 # {\"x\"} 1\n# EOF",
            "expected a label name at line 1, column 8 near \"a 1 # {\\\"x\\\"} 1\"",
        ),
        (
            b"a 1 # {x=\"1\"}\n# EOF",
            "expected a value after exemplar labels at line 1, column 14 near \"a 1 # {x=\\\"1\\\"}\"",
        ),
        (
            b"a 1 # {} 1 2 3\n# EOF",
            "expected the end of the line after exemplar at line 1, column 13 near \"a 1 # {} 1 2 3\"",
        ),
        (b"a 1 # x\n# EOF", "invalid float at line 1, column 5 near \"a 1 # x\""),
        (b"# HELP a\n# EOF", "expected text in HELP at line 1, column 9 near \"# HELP a\""),
        (
            b"# HELP  a b\n# EOF",
            "expected a metric name after HELP at line 1, column 8 near \"# HELP  a b\"",
        ),
        (b"# HELP a b", "expected text in HELP at line 1, column 9 near \"# HELP a b\""),
        (
            b"# TYPE a untyped\n# EOF",
            "invalid metric type \"untyped\" at line 1, column 10 near \"# TYPE a untyped\"",
        ),
        (
            b"# UNIT a seconds\n# EOF",
            "unit \"seconds\" is not a suffix of metric \"a\" at line 1, column 10 near \"# UNIT a seconds\"",
        ),
        (
            b"# UNIT aseconds seconds\n# EOF",
            "unit \"seconds\" is not a suffix of metric \"aseconds\" at line 1, column 17 near \"# UNIT aseconds seconds\"",
        ),
    ];
    for (body, message) in cases {
        let error = parse_body(body).error.map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(*message), "{}", body.escape_ascii());
    }
}

#[test]
fn created_samples_become_start_timestamps() {
    let histogram = "# TYPE h histogram\nh_bucket{le=\"1\",x=\"y\"} 1\nh_bucket{le=\"+Inf\",x=\"y\"} 2\n\
                     h_count{x=\"y\"} 2\nh_created{x=\"y\"} 3.5\nh_sum{x=\"y\"} 9\nh_sum{x=\"z\"} 9\n";
    assert_eq!(
        parse_starts(histogram),
        [
            r#"h_bucket{le="1.0",x="y"} 1 st=3500"#,
            r#"h_bucket{le="+Inf",x="y"} 2 st=3500"#,
            r#"h_count{x="y"} 2 st=3500"#,
            r#"h_sum{x="y"} 9 st=3500"#,
            r#"h_sum{x="z"} 9"#,
        ]
    );
    for (body, entries) in [
        ("# TYPE c counter\nc_total 1\nc_created 2\n", vec!["c_total 1 st=2000"]),
        ("# TYPE c counter\nc_created 2\nc_total 1\n", vec!["c_total 1"]),
        ("# TYPE c counter\nc_total 1\n# HELP c x\nc_created 2\n", vec!["c_total 1"]),
        ("# TYPE c counter\nc_total 1\nd_created 2\n", vec!["c_total 1"]),
        ("# TYPE c gauge\nc 1\nc_created 2\n", vec!["c 1", "c_created 2"]),
        (
            "# TYPE c counter\n{\"c_total\",a=\"b\"} 1\n{\"c_created\",a=\"b\"} 2\n",
            vec![r#"c_total{a="b"} 1 st=2000"#],
        ),
        (
            "# TYPE s summary\ns{quantile=\"1\"} 1\ns_created 2\n",
            vec![r#"s{quantile="1.0"} 1 st=2000"#],
        ),
    ] {
        assert_eq!(parse_starts(body), entries, "{body}");
    }
}

#[test]
fn large_family_without_created_samples_is_searched_once() {
    // A search from each series would parse 2 * 10^10 lines.
    let series: String = (0..200_000).map(|i| format!("c_total{{i=\"{i}\"}} 1\n")).collect();
    let entries = parse_starts(&format!("# TYPE c counter\n{series}"));
    assert_eq!(entries.len(), 200_000);
    assert_eq!(entries[199_999], r#"c_total{i="199999"} 1"#);
}

#[test]
fn entries_and_series_allocate_nothing() {
    let line = "c_total{path=\"/x\\\"y\"} 17 1712345678.9 # {trace_id=\"abc\"} 1 1712345678.5\n";
    let body = format!("# TYPE c counter\n{}# EOF\n", line.repeat(100));
    let mut series = 0;
    let counted = allocation_counter::measure(|| {
        let mut parser = OpenMetricsParser::new(body.as_bytes(), false);
        while parser.next_entry().expect("a valid body").is_some() {
            series += usize::from(!parser.series().key.is_empty());
        }
    });
    assert_eq!((series, counted.count_total), (100, 0));
}

proptest! {
    #[test]
    fn formatted_samples_are_parsed_back(
        samples in prop::collection::vec(
            ("[a-z_:][a-z0-9_:]{0,8}", "[ -~é\n]{0,8}", -1e9..1e9f64, prop::option::of(0..1u32 << 30)),
            0..5,
        ),
    ) {
        let (mut body, mut expected) = (String::new(), Vec::new());
        for (name, text, value, seconds) in samples {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            body += &format!("{name}{{x=\"{escaped}\"}} {value}");
            let mut line = format!("{name}{{x={text:?}}} {value}");
            if let Some(seconds) = seconds {
                body += &format!(" {seconds}.250 # {{t=\"x\"}} {value}");
                line += &format!(" @{seconds}250 # {{t=\"x\"}} {value}");
            }
            body.push('\n');
            expected.push(line);
        }
        body += "# EOF\n";
        prop_assert_eq!(parse_body(body.as_bytes()), Parsed { entries: expected.clone(), error: None });
        for cut in 0..body.len() {
            let (prefix, _) = body.as_bytes().split_at(cut);
            let parsed = parse_body(prefix);
            // Only the last newline is optional. Before that, whole lines and an error.
            if cut + 1 < body.len() {
                let lines = prefix.iter().filter(|byte| **byte == b'\n').count();
                prop_assert_eq!(parsed.entries.as_slice(), &expected[..lines]);
                let is_cut = matches!(parsed.error, Some(ParseError::Text { .. }));
                prop_assert_eq!(is_cut, true);
            } else {
                prop_assert_eq!(parsed, Parsed { entries: expected.clone(), error: None });
            }
        }
    }
}

#[test]
fn unterminated_body_says_so() {
    let error = parse_body(b"a 1\nb 2 # {x=\"y\"} 3").error;
    let expected = ParseError::in_text(TextProblem::MissingEof, b"a 1\nb 2 # {x=\"y\"} 3", 20);
    assert_eq!(error, Some(expected));
}
