//! Tests of matchers against a table of Go's results, and of rejected expressions.

use super::error::{MatcherError, SyntaxError};
use super::{MatchType, Matcher};
use proptest::prelude::{prop_assert_eq, proptest};

fn regex(pattern: &str) -> Matcher {
    Matcher::new(MatchType::Regex, "a", pattern)
        .unwrap_or_else(|error| panic!("{pattern:.80}: {error}"))
}

#[test]
fn each_match_type_compares_values() {
    for (kind, value, on_x, on_y, on_empty) in [
        (MatchType::Equal, "x", true, false, false),
        (MatchType::NotEqual, "x", false, true, true),
        (MatchType::Regex, "x|", true, false, true),
        (MatchType::NotRegex, "x|", false, true, false),
    ] {
        let matcher = Matcher::new(kind, "a", value).unwrap();
        assert_eq!((matcher.matches("x"), matcher.matches("y")), (on_x, on_y), "{kind:?}");
        assert_eq!(
            (matcher.matches(""), matcher.matches_empty()),
            (on_empty, on_empty),
            "{kind:?}"
        );
    }
}

#[test]
fn value_lists_are_literal_sets() {
    for (pattern, set) in [
        ("", vec![""]),
        ("abc", vec!["abc"]),
        ("b|a|b", vec!["a", "b"]),
        ("(b|a)c?", vec!["a", "ac", "b", "bc"]),
        ("^(?:x(1|2)|)$", vec!["", "x1", "x2"]),
        ("^a$|^b$", vec!["a", "b"]),
        ("[0-2]{1,2}", vec!["0", "00", "01", "02", "1", "10", "11", "12", "2", "20", "21", "22"]),
        (r"\Qa.b\E|é", vec!["a.b", "é"]),
        ("[^\\x00-\\x{10FFFF}]", vec![]),
    ] {
        let set: Vec<String> = set.into_iter().map(str::to_owned).collect();
        assert_eq!(regex(pattern).set_matches(), Some(set.as_slice()), "{pattern}");
    }
    for pattern in ["a.", "a*", "[0-9]{9}", r"a\b", "(?i)k{20}"] {
        assert_eq!(regex(pattern).set_matches(), None, "{pattern}");
    }
}

#[test]
fn required_prefixes_are_found() {
    for (pattern, prefix) in [
        ("abc.*", Some("abc")),
        ("abc.+x", Some("abc")),
        ("^abc[0-9]+", Some("abc")),
        ("(abc|abd).*", Some("ab")),
        ("é.*|è.*", None),
        (".*abc", None),
        ("(?i)abc.*", None),
        ("(abc)?.*", None),
    ] {
        assert_eq!(regex(pattern).prefix(), prefix, "{pattern}");
    }
    assert!(
        regex(".*").matches_every_nonempty()
            && regex(".+").matches_every_nonempty()
            && regex("(^.*.?.*)$").matches("x")
    );
    assert!(
        !regex("..+").matches_every_nonempty()
            && !regex(".*a").matches_every_nonempty()
            && !regex("(?-s).*").matches("\n")
    );
}

#[test]
fn long_value_list_is_a_literal_set() {
    let values: Vec<String> = (0..20_000).map(|i| format!("pod-{i:05}-é.x")).collect();
    let pattern = values.iter().map(|v| v.replace('.', "\\.")).collect::<Vec<_>>().join("|");
    assert_eq!(regex(&format!("^({pattern})$")).set_matches(), Some(values.as_slice()));
}

#[test]
fn excessive_expressions_are_rejected() {
    let rejection = |pattern: &str| match Matcher::new(MatchType::NotRegex, "a", pattern) {
        Err(error) => error,
        Ok(_) => panic!("accepted: {pattern:.80}"),
    };
    let repeat =
        |error| matches!(error, MatcherError::Syntax { reason: SyntaxError::RepeatSize, .. });
    assert!(repeat(rejection("(((a{1000}){1000}){1000})")));
    assert!(repeat(rejection("a{1001}")));
    assert!(
        repeat(rejection("((a{10}){10}b{11}){11}|c"))
            == repeat(rejection("(((a{10}){10}){10}){10}"))
    );
    let too_large = [
        "x".repeat((1 << 20) + 1),
        ".?".repeat(200_000),
        "(?:a|b".repeat(400) + &")".repeat(400),
        r"\pL".repeat(10_000),
        r"[\pL\pN]".repeat(10_000),
        format!("[{}]", r"\pL".repeat(100_000)),
        format!("[{}]", r"\p{Zl}".repeat(100_000)),
        format!("(?i){}", "k".repeat(500_000)),
        format!("(?i){}", r"[B-\x{10FFFF}]".repeat(50_000)),
        r"\pL{1000}.{1000}".to_owned(),
        "(.{1,100}a){10}".repeat(100),
        "a{1000}?.".repeat(50_000),
        "(x.+|y)".repeat(30_000) + &r"[\PL]{500}".repeat(20),
    ];
    for pattern in too_large {
        assert!(matches!(rejection(&pattern), MatcherError::TooLarge { .. }), "{pattern:.80}");
    }
}

#[test]
fn groups_nest_as_deeply_as_in_go() {
    let nested = |depth: usize| "(".repeat(depth) + "x" + &")".repeat(depth);
    assert!(regex(&nested(999)).matches("x"));
    for pattern in [nested(1000), "(".repeat(100_000)] {
        let error = Matcher::new(MatchType::Regex, "a", &*pattern).unwrap_err();
        let expected = format!("error parsing regexp: expression nests too deeply: `{pattern}`");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn errors_are_those_of_go() {
    for (pattern, expected) in [
        ("a(b", "missing closing ): `a(b`"),
        ("a)b", "unexpected ): `a)b`"),
        ("a[b", "missing closing ]: `[b`"),
        ("a[z-b]c", "invalid character class range: `z-b`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"a\pXb", r"invalid character class range: `\pX`"),
        (r"a\p{Foo}b", r"invalid character class range: `\p{Foo}`"),
        (r"a\p{Foo", r"invalid character class range: `\p{Foo`"),
        (r"a\8", r"invalid escape sequence: `\8`"),
        (r"a\xg1b", r"invalid escape sequence: `\xg1`"),
        (r"a\x{110000}b", r"invalid escape sequence: `\x{110000`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("a(?P<b-c>d)", "invalid named capture: `(?P<b-c>`"),
        ("a(?<b", "invalid named capture: `(?<b`"),
        ("a(?P<", "invalid or unsupported Perl syntax: `(?P`"),
        ("a(?i-z)", "invalid or unsupported Perl syntax: `(?i-z`"),
        ("a|*?b", "missing argument to repetition operator: `*?`"),
        ("ab{2}??+c", "invalid nested repetition operator: `{2}??`"),
        ("a**b", "invalid nested repetition operator: `**`"),
        ("a{2,1}b", "invalid repeat count: `{2,1}`"),
        ("(a{30}){40}?b", "invalid repeat count: `{40}?`"),
    ] {
        let error = Matcher::new(MatchType::Regex, "a", pattern).unwrap_err();
        assert_eq!(error.to_string(), format!("error parsing regexp: {expected}"), "{pattern}");
    }
}

#[test]
fn deepest_allowed_nesting_matches() {
    let deep = "(?:a|b(?:c|".repeat(120) + ".x" + &")*)+".repeat(120);
    let check = move || {
        assert!(regex(&deep).matches(&("bc".to_owned() + "a")));
        assert!(!regex(&deep).matches("bcz"));
    };
    // Optimized code needs less than the default stack of a thread. Without optimization, frames
    // are several times larger.
    let stack_size = if cfg!(debug_assertions) { 32 << 20 } else { 2 << 20 };
    std::thread::Builder::new().stack_size(stack_size).spawn(check).unwrap().join().unwrap();
}

#[test]
fn matches_agree_with_go() {
    let table = include_str!("../../../tests/golden/regex/re2.jsonl");
    let mut rows = 0;
    let mut mismatches = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        rows += 1;
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let pattern = row["pattern"].as_str().unwrap();
        let matcher = Matcher::new(MatchType::Regex, "a", pattern);
        let Some(results) = row["match"].as_array() else {
            if matcher.is_ok() {
                mismatches.push(format!("{pattern}: rejected by Go"));
            }
            continue;
        };
        let matcher = match matcher {
            Ok(matcher) => matcher,
            Err(error) => {
                mismatches.push(format!("{pattern}: {error}"));
                continue;
            }
        };
        let inputs = row["inputs"].as_array().unwrap();
        assert_eq!(inputs.len(), results.len());
        for (input, result) in inputs.iter().zip(results) {
            let (input, result) = (input.as_str().unwrap(), result.as_i64().unwrap() == 1);
            if matcher.matches(input) != result {
                mismatches
                    .push(format!("{pattern} on {input:?}: Go returns {result}, {matcher:?}"));
            }
        }
    }
    assert!(rows > 1300, "{rows}");
    assert!(
        mismatches.is_empty(),
        "{} of {rows} rows:\n{}",
        mismatches.len(),
        mismatches.join("\n")
    );
}

proptest! {
    /// Patterns with the same syntax in both engines: all match strategies agree with the engine.
    #[test]
    fn match_strategies_agree_with_engine(
        pattern in "((a|b|é|\\.|\\[ab\\]|\\(a\\|b\\)|\\(\\|ab\\)|\\(\\.\\*b\\)\
            |\\(b\\+\\)|\\(a\\?b\\{2\\}\\)|\\(a\\{1,2\\}\\))\
            (|\\?|\\*|\\+|\\{2\\}|\\{0,2\\})|\\^|\\$|\\|){0,7}",
        values in proptest::collection::vec("[abé]{0,6}", 1..12),
    ) {
        let matcher = regex(&pattern);
        let engine = regex::Regex::new(&format!("^(?s:{pattern})$")).unwrap();
        for value in values.iter().map(String::as_str).chain([""]) {
            let expected = engine.is_match(value);
            prop_assert_eq!(matcher.matches(value), expected, "{} on {}", pattern, value);
            if let Some(set) = matcher.set_matches() {
                prop_assert_eq!(set.iter().any(|v| v == value), expected);
            }
            if matcher.matches(value) {
                prop_assert_eq!(value.starts_with(matcher.prefix().unwrap_or_default()), true);
            }
        }
    }

    #[test]
    fn arbitrary_pattern_does_not_panic(
        pattern in "(.|[()\\[\\]\\\\{}*+?|^$:<>Pix,0-9QEpdw-]){0,40}",
        value in ".{0,20}",
    ) {
        if let Ok(matcher) = Matcher::new(MatchType::Regex, "a", pattern) {
            let _ = matcher.matches(&value);
        }
    }
}

#[test]
fn matchers_without_parsing_equal_parsed_ones() {
    let any = Matcher::new(MatchType::Regex, "a", ".*").unwrap();
    let equal = |value| Matcher::new(MatchType::Equal, "a", value).unwrap();
    for (direct, parsed) in [
        (Matcher::any("a"), any),
        (Matcher::equal("a", "b"), equal("b")),
        (Matcher::equal("a", ""), equal("")),
    ] {
        assert_eq!(format!("{direct:?}"), format!("{parsed:?}"));
    }
}
