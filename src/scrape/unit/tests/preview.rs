//! Previews, and traces of labels.

use super::fixture::settings;
use crate::exposition::format::Format;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::metadata::MetricType;
use crate::model::relabel::action::RelabelAction;
use crate::model::relabel::rule::{RelabelRule, RelabelRuleConfig};
use crate::model::sample::SampleValue;
use crate::scrape::unit::preview::{LargestValues, Preview};
use crate::scrape::unit::settings::UnitSettings;
use crate::scrape::unit::store::{Scrape, ScrapedBody};
use crate::scrape::unit::trace::{
    ChangeKind, LabelChange, LabelDifference, SeriesLabels, trace_labels,
};
use std::convert::Infallible;
use std::time::Duration;

const NOW_MS: i64 = 1_762_300_800_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
}

fn target() -> UnitSettings {
    settings(labels(&[("instance", "i"), ("job", "j")]))
}

fn rule(action: RelabelAction, config: RelabelRuleConfig) -> RelabelRule {
    RelabelRule::new(RelabelRuleConfig { action, ..config }, Default::default()).unwrap()
}

/// Drops `b.*`, and sets the label `x` of all others to 1.
fn rules() -> [RelabelRule; 2] {
    let drop = RelabelRuleConfig {
        source_labels: Some(vec!["__name__".to_owned()]),
        regex: Some("b.*".to_owned()),
        ..RelabelRuleConfig::default()
    };
    let replace = RelabelRuleConfig {
        target_label: "x".to_owned(),
        replacement: Some("1".to_owned()),
        ..RelabelRuleConfig::default()
    };
    [rule(RelabelAction::Drop, drop), rule(RelabelAction::Replace, replace)]
}

fn preview(body: &str, settings: &UnitSettings) -> Preview {
    let body = ScrapedBody { bytes: body.as_bytes(), content_type: "text/plain" };
    let scrape = Scrape { body: Ok(body), timestamp_ms: NOW_MS };
    Preview::new(scrape, settings, Duration::from_millis(1500))
}

/// Series, type, value and time of all samples.
fn samples(preview: &Preview) -> Vec<(String, MetricType, f64, i64)> {
    let shown = preview.samples.iter().map(|sample| {
        let SampleValue::Float(v) = sample.sample.value else { panic!("a histogram") };
        (SeriesLabels::from(&sample.labels).to_string(), sample.metric_type, v, sample.sample.t)
    });
    shown.collect()
}

fn trace(body: &str, settings: &UnitSettings) -> Vec<String> {
    let mut lines = Vec::new();
    let result = trace_labels(body.as_bytes(), Format::Text, settings, |change| {
        let LabelChange { exposed, kind } = change;
        lines.push(match kind {
            ChangeKind::Renamed { from, to } => format!("{exposed} {from} {to}"),
            ChangeKind::Hidden { name } => format!("{exposed} hides {name}"),
            ChangeKind::Relabeled { rule, difference } => format!("{exposed} {rule} {difference}"),
            ChangeKind::Dropped { rule } => format!("{exposed} {rule}"),
        });
        Ok::<_, Infallible>(())
    });
    let Ok(()) = result;
    lines
}

#[test]
fn samples_have_type_labels_and_those_of_the_scraper_follow() {
    let body = "# TYPE a counter\na{z=\"1\"} 5\nb 7 1000\na{z=\"1\"} 6\nup 3\n";
    let preview = preview(body, &target());
    assert!(preview.error.is_none());
    let report = |name: &str, v| {
        (format!("{name}{{instance=\"i\", job=\"j\"}}"), MetricType::Gauge, v, NOW_MS)
    };
    let a = "a{instance=\"i\", job=\"j\", z=\"1\"}".to_owned();
    let b = "b{instance=\"i\", job=\"j\"}".to_owned();
    assert_eq!(
        samples(&preview),
        [
            (a.clone(), MetricType::Counter, 5.0, NOW_MS),
            (b, MetricType::Unknown, 7.0, 1000),
            report("up", 1.0),
            report("scrape_duration_seconds", 1.5),
            report("scrape_samples_scraped", 4.0),
            report("scrape_samples_post_metric_relabeling", 4.0),
            report("scrape_series_added", 2.0),
        ]
    );
    let rejected = preview.rejected.iter().map(|labels| SeriesLabels::from(labels).to_string());
    let up = "up{instance=\"i\", job=\"j\"}".to_owned();
    assert_eq!(rejected.collect::<Vec<_>>(), [a, up]);
    let largest =
        LargestValues { label_count: 4, name_length: 8, value_length: 1, ..preview.largest };
    assert_eq!(preview.largest, largest);
}

#[test]
fn failed_scrape_stores_the_series_of_the_scraper_only() {
    let settings = UnitSettings { sample_limit: 1, ..target() };
    for (body, settings, scraped) in [("a 1\nb 2\n", &settings, 2.0), ("a 1\nb\n", &target(), 1.0)]
    {
        let preview = preview(body, settings);
        assert!(preview.error.is_some(), "{body:?}");
        let samples = samples(&preview);
        assert_eq!((samples[0].2, samples[2].2, samples.len()), (0.0, scraped, 5), "{body:?}");
    }
}

#[test]
fn trace_names_renamed_labels_and_rules() {
    let body = "a{job=\"x\",exported_job=\"y\"} 1\nb{job=\"x\"} 1\na{job=\"\"} 1\n";
    let settings = UnitSettings { metric_relabeling: rules().into(), ..target() };
    let (first, third) = ("a{exported_job=\"y\", job=\"x\"}", "a{job=\"\"}");
    assert_eq!(
        trace(body, &settings),
        [
            format!("{first} job exported_exported_job"),
            format!("{first} [1] (replace) x=\"1\""),
            "b{job=\"x\"} job exported_job".to_owned(),
            "b{job=\"x\"} [0] (drop)".to_owned(),
            format!("{third} [1] (replace) x=\"1\""),
        ]
    );
}

#[test]
fn trace_names_labels_of_the_target_that_are_hidden() {
    let settings = UnitSettings { honor_labels: true, ..target() };
    assert_eq!(trace("a{job=\"x\"} 1\nb 1\n", &settings), ["a{job=\"x\"} hides job"]);
}

#[test]
fn difference_names_changed_and_removed_labels() {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let before = pairs(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let after = pairs(&[("b", "x\"y"), ("c", "3"), ("d", "4")]);
    let difference = LabelDifference::new(&before, &after);
    assert_eq!(difference.to_string(), "b=\"x\\\"y\", d=\"4\", -a");
}

#[test]
fn trace_ends_at_an_error_of_the_body() {
    let settings = UnitSettings { metric_relabeling: rules().into(), ..target() };
    assert_eq!(trace("b1 1\nb2{ 1\nb3 1\n", &settings), ["b1 [0] (drop)"]);
}
