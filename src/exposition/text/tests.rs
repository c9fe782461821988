//! Tests of the text format: tables from the grammar.

use super::TextParser;
use crate::exposition::entry_lines::{Parsed, labels_text, parse};
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::parser::Parser;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

fn parse_text(body: &[u8]) -> Parsed {
    parse(TextParser::new(body))
}

#[test]
fn valid_bodies_have_their_entries() {
    let cases: &[(&[u8], &[&str])] = &[
        (b"", &[]),
        (b"\n \t\n#\n# \n#x\n# EOF\n#HELP a b\n# HELPa b\n# HELP\n# help a b", &[]),
        (b"a 1", &["a 1"]),
        (b"a{} 1\n", &["a 1"]),
        (b"a{x=\"y\",}1 2", &[r#"a{x="y"} 1 @2"#]),
        (b"a+1\n", &["a 1"]),
        (b"a \t1\t 2 \t\n", &["a 1 @2"]),
        (b"a:b_9 -Inf 0", &["a:b_9 -inf @0"]),
        (b"a {\tz = \"1\" , b=\"2\" c=\"3\" } NaN", &[r#"a{b="2",c="3",z="1"} NaN"#]),
        (b" a 1", &[" a 1"]),
        (b"{\"a.b\"} 1", &["a.b 1"]),
        (b"{ \"a\\\"b\" , \"x y\" = \"z\" , } 1", &[r#"a"b{x y="z"} 1"#]),
        (b"{x=\"1\",\"a\"} 1", &[r#"a{x="1"} 1"#]),
        (b"{\"\"} 1", &["{} 1"]),
        (b"a{x=\"1\",x=\"2\",__name__=\"b\"} 1", &[r#"a{__name__="b",x="1",x="2"} 1"#]),
        (b"a{x=\"\\\\\\n\\\"\\t\"} 1", &[r#"a{x="\\\n\"\\t"} 1"#]),
        (b"a{x=\"1\n2\0\"} 1", &[r#"a{x="1\n2\0"} 1"#]),
        (b"# \xff\na 1", &["a 1"]),
        (b"# HELP a b \\\\ \\n \\\" c", &[r#"HELP a "b \\ \n \\\" c""#]),
        (b"#\tHELP \t a \t b\n", &[r#"HELP a "\t b""#]),
        (b"# HELP a\n# HELP a \n# HELP a   \n", &[r#"HELP a """#; 3]),
        (b"# HELP \"a.b\" c\n# HELP \"a\\\"b\"", &[r#"HELP a.b "c""#, r#"HELP a\"b """#]),
        (b"# HELP a-b c", &[r#"HELP a "b c""#]),
        (
            b"# TYPE a counter\n# TYPE b gauge\n# TYPE c untyped\n",
            &["TYPE a counter", "TYPE b gauge", "TYPE c unknown"],
        ),
        (
            b"# TYPE h histogram\nother{le=\"1\",quantile=\"1\"} 1\n",
            &["TYPE h histogram", r#"other{le="1.0",quantile="1"} 1"#],
        ),
        (
            b"# TYPE s summary\ns{le=\"1\",quantile=\"1\"} 1\ns{quantile=\"\\n\"} 1",
            &["TYPE s summary", r#"s{le="1",quantile="1.0"} 1"#, r#"s{quantile="\n"} 1"#],
        ),
        (
            b"h{le=\"1\"} 1\n# TYPE h histogram\n# TYPE g gauge\nh{le=\"1\"} 1",
            &[r#"h{le="1"} 1"#, "TYPE h histogram", "TYPE g gauge", r#"h{le="1"} 1"#],
        ),
    ];
    for (body, entries) in cases {
        let parsed = parse_text(body);
        let found: Vec<&str> = parsed.entries.iter().map(String::as_str).collect();
        assert_eq!((found.as_slice(), parsed.error), (*entries, None), "{}", body.escape_ascii());
    }
}

#[test]
fn malformed_bodies_name_problem_and_place() {
    let cases: &[(&[u8], &str)] = &[
        (
            b"a 1\nb 2\n 9c 3",
            "expected a metric name or a comment at line 3, column 2 near \" 9c 3\"",
        ),
        (b"\0", "expected a metric name or a comment at line 1, column 1 near \"\\0\""),
        (b"\xff 1", "expected a metric name or a comment at line 1, column 1 near \"\u{fffd} 1\""),
        (b"a", "expected a value after metric at line 1, column 2 near \"a\""),
        (b"a \nb 1", "expected a value after metric at line 1, column 3 near \"a \""),
        (b"a{}{} 1", "expected a value after metric at line 1, column 4 near \"a{}{} 1\""),
        (b"a one", "invalid float at line 1, column 3 near \"a one\""),
        (b"a-b 1", "invalid float at line 1, column 2 near \"a-b 1\""),
        (b"a 1\r\n", "invalid float at line 1, column 3 near \"a 1\\r\""),
        (b"a 0x1p3", "unsupported character in float at line 1, column 3 near \"a 0x1p3\""),
        (b"a 1e309", "float out of range at line 1, column 3 near \"a 1e309\""),
        (
            b"a 1 x",
            "expected a timestamp or the end of the line at line 1, column 5 near \"a 1 x\"",
        ),
        (
            b"a 1 -1",
            "expected a timestamp or the end of the line at line 1, column 5 near \"a 1 -1\"",
        ),
        (b"a 1{", "expected a timestamp or the end of the line at line 1, column 4 near \"a 1{\""),
        (
            b"a 1 2 3",
            "expected the end of the line after timestamp at line 1, column 7 near \"a 1 2 3\"",
        ),
        (
            b"a 1 1.5",
            "expected the end of the line after timestamp at line 1, column 6 near \"a 1 1.5\"",
        ),
        (
            b"a 1 9223372036854775808",
            "invalid timestamp at line 1, column 5 near \"a 1 9223372036854775\"",
        ),
        (b"a{1=\"x\"} 1", "expected a label name at line 1, column 3 near \"a{1=\\\"x\\\"} 1\""),
        (b"a{,} 1", "expected a label name at line 1, column 3 near \"a{,} 1\""),
        (
            b"a{x=\"1\",,} 1",
            "expected a label name at line 1, column 9 near \"a{x=\\\"1\\\",,} 1\"",
        ),
        (b"a{x=\"1\"", "expected a label name at line 1, column 8 near \"a{x=\\\"1\\\"\""),
        (b"a{x=\"1\"\n} 1", "expected a label name at line 1, column 8 near \"a{x=\\\"1\\\"\""),
        (b"a{x-", "expected '=' after the label name at line 1, column 4 near \"a{x-\""),
        (
            b"{\"a\" \"b\"} 1",
            "expected '=' after the label name at line 1, column 6 near \"{\\\"a\\\" \\\"b\\\"} 1\"",
        ),
        (b"a{x=1} 1", "expected a quoted label value at line 1, column 5 near \"a{x=1} 1\""),
        (
            b"a{x=\"1} 1\n\n",
            "expected a quoted label value at line 1, column 5 near \"a{x=\\\"1} 1\"",
        ),
        (
            b"a{x=\"\\\n\"} 1",
            "expected a quoted label value at line 1, column 5 near \"a{x=\\\"\\\\\"",
        ),
        (b"a{\"b\"} 1", "metric name already set at line 1, column 3 near \"a{\\\"b\\\"} 1\""),
        (
            b"{\"a\",\"b\"} 1",
            "metric name already set at line 1, column 6 near \"{\\\"a\\\",\\\"b\\\"} 1\"",
        ),
        (b"{x=\"1\"} 1", "metric name not set at line 1, column 1 near \"{x=\\\"1\\\"} 1\""),
        (b"{} 1", "metric name not set at line 1, column 1 near \"{} 1\""),
        (
            b"a{x=\"\xff\"} 1",
            "invalid UTF-8 in label value at line 1, column 6 near \"a{x=\\\"\u{fffd}\\\"} 1\"",
        ),
        (
            b"{\"\xff\"} 1",
            "invalid UTF-8 in name at line 1, column 3 near \"{\\\"\u{fffd}\\\"} 1\"",
        ),
        (
            b"# HELP a \xff",
            "invalid UTF-8 in help text at line 1, column 10 near \"# HELP a \u{fffd}\"",
        ),
        (b"# HELP 1", "expected a metric name after HELP at line 1, column 8 near \"# HELP 1\""),
        (b"# HELP \n", "expected a metric name after HELP at line 1, column 8 near \"# HELP \""),
        (
            b"# TYPE \"a",
            "expected a metric name after TYPE at line 1, column 8 near \"# TYPE \\\"a\"",
        ),
        (
            b"# TYPE a banana",
            "invalid metric type \"banana\" at line 1, column 10 near \"# TYPE a banana\"",
        ),
        (
            b"# TYPE a  gauge",
            "invalid metric type \" gauge\" at line 1, column 10 near \"# TYPE a  gauge\"",
        ),
        (
            b"# TYPE a gauge ",
            "invalid metric type \"gauge \" at line 1, column 10 near \"# TYPE a gauge \"",
        ),
        (
            b"# TYPE a unknown",
            "invalid metric type \"unknown\" at line 1, column 10 near \"# TYPE a unknown\"",
        ),
        (b"# TYPE a", "invalid metric type \"\" at line 1, column 9 near \"# TYPE a\""),
    ];
    for (body, message) in cases {
        let error = parse_text(body).error.map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(*message), "{}", body.escape_ascii());
    }
}

#[test]
fn excerpt_of_a_long_line_ends_after_the_place() {
    let body = format!("a 1\nb{{x=\"{}\"}} y{}\nc 1", "v".repeat(200), "z".repeat(100));
    let error = parse_text(body.as_bytes()).error.map(|error| error.to_string());
    let excerpt = format!("{}\\\"}} y{}", "v".repeat(61), "z".repeat(15));
    let expected = format!("invalid float at line 2, column 209 near \"{excerpt}\"");
    assert_eq!(error, Some(expected));
}

#[test]
fn key_is_the_text_of_name_and_labels() {
    let mut parser = TextParser::new(b"a {x=\"1\" }2\nb 1\n{\"c\"} 1");
    let mut keys = Vec::new();
    while parser.next_entry().expect("a valid body").is_some() {
        keys.push(parser.series().key.escape_ascii().to_string());
    }
    assert_eq!(keys, [r#"a {x=\"1\" }"#, "b", r#"{\"c\"}"#]);
}

#[test]
fn entries_and_series_allocate_nothing() {
    let body = "# HELP a t\n# TYPE a histogram\n".to_owned()
        + &"a_bucket{le=\"1\",path=\"/x\\\"y\",other=\"some text\"} 17 1712345678901\n".repeat(100);
    let mut series = 0;
    let counted = allocation_counter::measure(|| {
        let mut parser = TextParser::new(body.as_bytes());
        while parser.next_entry().expect("a valid body").is_some() {
            series += usize::from(!parser.series().key.is_empty());
        }
    });
    assert_eq!((series, counted.count_total), (100, 0));
}

#[test]
fn labels_of_reused_buffer_allocate_nothing() {
    let mut parser = TextParser::new(b"a{x=\"y\",b=\"c\"} 1\na{x=\"z\",b=\"c\"} 1");
    let mut labels = LabelBuffer::new();
    parser.next_entry().expect("a valid body");
    parser.labels(&mut labels);
    parser.next_entry().expect("a valid body");
    let counted = allocation_counter::measure(|| parser.labels(&mut labels));
    assert_eq!((labels.get("x"), counted.count_total), (Some("z"), 0));
}

/// Sample with any valid content.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
    timestamp: Option<i64>,
}

fn arb_sample() -> impl Strategy<Value = Sample> {
    let name = || "[a-z_][a-z0-9_.é\"\\\\\n ]{0,8}";
    let labels = prop::collection::vec((name(), ".{0,8}"), 0..4);
    (name(), labels, any::<f64>(), prop::option::of(0..i64::MAX))
        .prop_map(|(name, labels, value, timestamp)| Sample { name, labels, value, timestamp })
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn format_sample(sample: &Sample) -> String {
    let mut pieces = vec![format!("\"{}\"", escape(&sample.name))];
    pieces.extend(
        sample
            .labels
            .iter()
            .map(|(name, value)| format!("\"{}\"=\"{}\"", escape(name), escape(value))),
    );
    let timestamp = sample.timestamp.map(|timestamp| format!(" {timestamp}")).unwrap_or_default();
    let value =
        if sample.value.is_nan() { "NaN".to_owned() } else { format!("{:e}", sample.value) };
    format!("{{{}}} {value}{timestamp}\n", pieces.join(","))
}

fn expected_line(sample: &Sample) -> String {
    let mut labels: LabelBuffer = [("__name__", sample.name.as_str())].into_iter().collect();
    sample.labels.iter().for_each(|(name, value)| labels.push(name, value));
    labels.sort();
    let timestamp = sample.timestamp.map(|timestamp| format!(" @{timestamp}")).unwrap_or_default();
    format!("{} {}{timestamp}", labels_text(&labels), sample.value)
}

proptest! {
    #[test]
    fn formatted_samples_are_parsed_back(samples in prop::collection::vec(arb_sample(), 0..5)) {
        let body: String = samples.iter().map(format_sample).collect();
        let expected: Vec<String> = samples.iter().map(expected_line).collect();
        prop_assert_eq!(parse_text(body.as_bytes()), Parsed { entries: expected, error: None });
    }

    #[test]
    fn cut_body_yields_whole_lines_except_the_last(
        samples in prop::collection::vec(arb_sample(), 1..4),
    ) {
        let body: String = samples.iter().map(format_sample).collect();
        let whole = parse_text(body.as_bytes()).entries;
        for cut in 0..body.len() {
            let (prefix, _) = body.as_bytes().split_at(cut);
            let parsed = parse_text(prefix);
            let complete = prefix.iter().filter(|byte| **byte == b'\n').count();
            let at_line_end = prefix.is_empty() || prefix.ends_with(b"\n");
            prop_assert_eq!(&parsed.entries[..complete], &whole[..complete]);
            // The last line needs no newline, so a number at the end can be shorter.
            prop_assert!(parsed.entries.len() <= complete + usize::from(!at_line_end));
            prop_assert!(!at_line_end || parsed.error.is_none());
        }
    }
}
