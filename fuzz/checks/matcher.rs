//! Matchers: an arbitrary regular expression is rejected, or all ways to evaluate it agree.
//!
//! The input is the expression and, after a zero byte, a value. The shortcuts of a matcher (set,
//! prefix, substrings) are compared with each other and, for simple expressions, with the `regex`
//! crate.

use narthex::model::matcher::{MatchType, Matcher};

/// Panics if a matcher contradicts itself.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, value) = text.split_once('\0').unwrap_or((&text, ""));
    let matcher = match (Matcher::new(MatchType::Regex, "name", pattern), not(pattern)) {
        (Ok(matcher), Ok(negative)) => {
            for value in values(&matcher, pattern, value) {
                answers(&matcher, &negative, &value);
            }
            matcher
        }
        (Err(error), Err(negative)) => return assert_eq!(error, negative),
        (positive, negative) => panic!("{positive:?} but {negative:?}"),
    };
    if is_simple(pattern) {
        as_the_regex_crate(&matcher, pattern, value);
    }
}

fn not(pattern: &str) -> Result<Matcher, narthex::model::matcher::error::MatcherError> {
    Matcher::new(MatchType::NotRegex, "name", pattern)
}

/// Returns values that are likely to reveal differences.
fn values(matcher: &Matcher, pattern: &str, value: &str) -> Vec<String> {
    let mut values = vec![
        String::new(),
        value.to_owned(),
        pattern.to_owned(),
        format!("{pattern}\n"),
        "a".to_owned(),
    ];
    if let Some(prefix) = matcher.prefix() {
        values.extend([prefix.to_owned(), format!("{prefix}{value}"), format!("{value}{prefix}")]);
    }
    let set = matcher.set_matches().unwrap_or_default();
    values.extend(
        set.iter().take(20).flat_map(|member| [member.clone(), format!("{member}{value}x")]),
    );
    values
}

fn answers(matcher: &Matcher, negative: &Matcher, value: &str) {
    let matches = matcher.matches(value);
    assert_eq!(negative.matches(value), !matches, "{value:?}");
    assert_eq!(matcher.clone().matches(value), matches);
    if value.is_empty() {
        assert_eq!((matcher.matches_empty(), negative.matches_empty()), (matches, !matches));
    }
    if let Some(set) = matcher.set_matches() {
        assert!(set.is_sorted());
        assert_eq!(
            set.iter().any(|member| member == value),
            matches,
            "{value:?} and the set {set:?}"
        );
    }
    if matches && let Some(prefix) = matcher.prefix() {
        assert!(value.starts_with(prefix), "{value:?} without the prefix {prefix:?}");
    }
    if matcher.matches_every_nonempty() && !value.is_empty() {
        assert!(matches, "{value:?}");
    }
}

/// Returns `true` if RE2 and the `regex` crate have the same semantics for the expression.
fn is_simple(pattern: &str) -> bool {
    pattern.chars().all(|c| c.is_alphanumeric() || "_-:/,=.|*+()?".contains(c))
        && !pattern.contains("(?")
}

fn as_the_regex_crate(matcher: &Matcher, pattern: &str, value: &str) {
    let Ok(regex) = regex::Regex::new(&format!("^(?s:{pattern})$")) else { return };
    for value in values(matcher, pattern, value) {
        assert_eq!(matcher.matches(&value), regex.is_match(&value), "{value:?}");
    }
}
