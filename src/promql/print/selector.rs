//! Texts of selectors and time modifiers.

use super::{duration, push_label};
use crate::model::go_format::Quoted;
use crate::model::labels::METRIC_NAME;
use crate::model::matcher::MatchType;
use crate::promql::ast::duration::{DurationValue, Nanoseconds};
use crate::promql::ast::selector::{AtModifier, LabelMatcher, VectorSelector};
use crate::promql::ast::tree::Ast;
use std::fmt::Write as _;

/// Appends name and matchers. The matchers are sorted by their texts, as in Prometheus.
pub(super) fn push_matchers(out: &mut String, selector: &VectorSelector) {
    out.push_str(&selector.name);
    let shown = selector.matchers.iter().filter(|matcher| !is_in_name(selector, matcher));
    let mut texts: Vec<String> = shown.map(matcher_text).collect();
    if !texts.is_empty() {
        texts.sort_unstable();
        let _ = write!(out, "{{{}}}", texts.join(","));
    }
}

/// Returns `true` if the name in front of the braces stands for the matcher.
fn is_in_name(selector: &VectorSelector, matcher: &LabelMatcher) -> bool {
    !selector.name.is_empty()
        && matcher.kind() == MatchType::Equal
        && matcher.name() == METRIC_NAME.as_bytes()
        && matcher.value() == selector.name.as_bytes()
}

fn matcher_text(matcher: &LabelMatcher) -> String {
    let mut text = String::new();
    push_label(&mut text, matcher.name());
    let _ = write!(text, "{}{}", operator(matcher.kind()), Quoted(matcher.value()));
    text
}

/// Returns the operator of a matcher as it is written.
pub(super) fn operator(kind: MatchType) -> &'static str {
    match kind {
        MatchType::Equal => "=",
        MatchType::NotEqual => "!=",
        MatchType::Regex => "=~",
        MatchType::NotRegex => "!~",
    }
}

/// Appends the modifier `@`, if there is one.
pub(super) fn push_at(out: &mut String, at: Option<AtModifier>) {
    match at {
        None => {}
        Some(AtModifier::Timestamp(millis)) => {
            let _ = write!(out, " @ {:.3}", millis as f64 / 1000.0);
        }
        Some(AtModifier::Start) => out.push_str(" @ start()"),
        Some(AtModifier::End) => out.push_str(" @ end()"),
    }
}

/// Appends the modifier `anchored` or `smoothed`, if there is one.
pub(super) fn push_extension(out: &mut String, selector: &VectorSelector) {
    if let Some(extension) = selector.extension {
        out.push(' ');
        out.push_str(extension.name());
    }
}

/// Appends the modifier `offset`, if there is one.
pub(super) fn push_offset(out: &mut String, ast: &Ast, offset: DurationValue) {
    if offset.is_zero() {
        return;
    }
    out.push_str(" offset ");
    match offset {
        DurationValue::Fixed(Nanoseconds(nanos)) if nanos < 0 => {
            out.push('-');
            // The smallest duration, which is that of NaN, stays negative.
            let positive = Nanoseconds(nanos.wrapping_neg());
            duration::push_value(out, ast, DurationValue::Fixed(positive));
        }
        _ => duration::push_value(out, ast, offset),
    }
}
