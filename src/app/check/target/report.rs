//! Lines about a target and its scrape.

use crate::app::check::target::candidates::{Candidate, CandidateResult};
use crate::app::check::target::scrape::{ScrapeLimits, Scraped};
use crate::app::check::target::verdict::Verdict;
use crate::exposition::format::Format;
use crate::model::labels::Labels;
use crate::model::sample::SampleValue;
use crate::scrape::pool::job::{JobSettings, TargetSpec};
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::preview::{Preview, PreviewSample};
use crate::scrape::unit::settings::UnitSettings;
use crate::scrape::unit::store::{Scrape, ScrapedBody};
use crate::scrape::unit::trace::{ChangeKind, LabelChange, SeriesLabels, trace_labels};
use std::fmt;
use std::io;
use std::io::Write;

/// Writes the URL and the labels of a target.
pub(super) fn write_target(out: &mut impl Write, url: &str, labels: &Labels) -> io::Result<()> {
    writeln!(out, "target: {url}")?;
    writeln!(out, "labels: {labels}")
}

/// Writes a discovered target and the effect of the rules.
pub(super) fn write_candidate(out: &mut impl Write, candidate: &Candidate) -> io::Result<()> {
    writeln!(out, "discovered: {}", candidate.discovered)?;
    for (rule, difference) in &candidate.steps {
        writeln!(out, "target-relabel: relabel_configs{rule}: {difference}")?;
    }
    match &candidate.result {
        CandidateResult::Active(target) => write_target(out, &target.url, &target.labels),
        CandidateResult::Dropped(Some(rule)) => {
            writeln!(out, "target-drop: relabel_configs{rule}")
        }
        CandidateResult::Dropped(None) => writeln!(out, "target-drop: relabel_configs"),
        CandidateResult::Invalid(error) => writeln!(out, "target-error: {error}"),
    }
}

/// Writes the error of a target that is not scraped.
pub(super) fn write_error(out: &mut impl Write, error: &ScrapeError) -> io::Result<()> {
    writeln!(out, "health: down")?;
    writeln!(out, "error: {error}")
}

/// Writes the result of a scrape.
pub(super) fn write_scrape(
    out: &mut impl Write,
    job: &JobSettings,
    target: &TargetSpec,
    scraped: &Scraped,
    limits: &ScrapeLimits,
) -> io::Result<Verdict> {
    let settings = job.unit_settings(target);
    let body = match &scraped.body {
        Ok(body) => Ok(ScrapedBody { bytes: &body.bytes, content_type: &body.content_type }),
        Err(error) => Err(error),
    };
    let scrape = Scrape { body, timestamp_ms: scraped.timestamp_ms };
    let preview = Preview::new(scrape, &settings, scraped.duration);
    let verdict = match &preview.error {
        Some(error) => {
            write_error(out, error)?;
            Verdict::Failed
        }
        None => {
            writeln!(out, "health: up")?;
            Verdict::Healthy
        }
    };
    writeln!(out, "duration: {:.3}s", scraped.duration.as_secs_f64())?;
    if let Ok(body) = body {
        write_labels(out, body, &settings)?;
    }
    for labels in &preview.rejected {
        let series = SeriesLabels::from(labels);
        writeln!(out, "reject: {series}: repeated, or a series of the scraper")?;
    }
    for sample in &preview.samples {
        write_sample(out, sample, scraped.timestamp_ms)?;
    }
    let counts = preview.counts;
    writeln!(
        out,
        "samples: {} exposed, {} after metric relabeling",
        counts.scraped, counts.post_relabeling
    )?;
    let body_bytes = body.map_or(0, |body| body.bytes.len() as u64);
    write_limits(out, job, &preview, body_bytes, limits)?;
    Ok(verdict)
}

/// Writes the format of a body, and the changes of labels.
fn write_labels(
    out: &mut impl Write,
    body: ScrapedBody<'_>,
    settings: &UnitSettings,
) -> io::Result<()> {
    // The error of the scrape names an unknown format.
    let Ok(selected) = Format::select(body.content_type, settings.fallback_format) else {
        return Ok(());
    };
    let fallback = if selected.notice.is_some() { ", by fallback_scrape_protocol" } else { "" };
    writeln!(out, "format: {}{fallback}", selected.format.media_type())?;
    trace_labels(body.bytes, selected.format, settings, |change| write_change(out, &change))
}

fn write_change(out: &mut impl Write, change: &LabelChange) -> io::Result<()> {
    let LabelChange { exposed, kind } = change;
    match kind {
        ChangeKind::Renamed { from, to } => writeln!(out, "rename: {exposed}: {from} to {to}"),
        ChangeKind::Hidden { name } => {
            writeln!(out, "hide: {exposed}: label {name} of the target")
        }
        ChangeKind::Relabeled { rule, difference } => {
            writeln!(out, "relabel: {exposed}: metric_relabel_configs{rule}: {difference}")
        }
        ChangeKind::Dropped { rule } => {
            writeln!(out, "drop: {exposed}: metric_relabel_configs{rule}")
        }
    }
}

fn write_sample(out: &mut impl Write, sample: &PreviewSample, timestamp_ms: i64) -> io::Result<()> {
    let PreviewSample { labels, metric_type, sample } = sample;
    let (metric_type, series) = (metric_type.as_str(), SeriesLabels::from(labels));
    write!(out, "store: {metric_type} {series} {}", ValueText(&sample.value))?;
    if sample.t != timestamp_ms {
        write!(out, " @{}", sample.t)?;
    }
    writeln!(out)
}

fn write_limits(
    out: &mut impl Write,
    job: &JobSettings,
    preview: &Preview,
    body_bytes: u64,
    limits: &ScrapeLimits,
) -> io::Result<()> {
    let own = &job.config.limits;
    let (body_name, body_limit) = match job.body_size_limit {
        0 => ("--scrape.max-body-size", limits.max_body_size as u64),
        limit => ("body_size_limit", limit),
    };
    let largest = preview.largest;
    for (name, used, limit) in [
        (body_name, body_bytes, body_limit),
        ("sample_limit", preview.counts.post_relabeling, own.samples),
        ("label_limit", largest.label_count, own.labels),
        ("label_name_length_limit", largest.name_length, own.label_name_length),
        ("label_value_length_limit", largest.value_length, own.label_value_length),
        ("native_histogram_bucket_limit", largest.buckets, job.config.histograms.bucket_limit),
    ] {
        match limit {
            0 => writeln!(out, "limit: {name} {used}, unlimited")?,
            limit => {
                let percent = used as f64 * 100.0 / limit as f64;
                writeln!(out, "limit: {name} {used} of {limit} ({percent:.0}%)")?;
            }
        }
    }
    Ok(())
}

/// Value of a sample: a float as in the text format, or the figures of a histogram.
struct ValueText<'a>(&'a SampleValue);

impl fmt::Display for ValueText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (schema, count, sum, buckets) = match self.0 {
            SampleValue::Float(v) => return write_float(f, *v),
            SampleValue::Histogram(histogram) => (
                histogram.schema,
                histogram.count as f64,
                histogram.sum,
                histogram.positive_buckets.len() + histogram.negative_buckets.len(),
            ),
            SampleValue::FloatHistogram(histogram) => (
                histogram.schema,
                histogram.count,
                histogram.sum,
                histogram.positive_buckets.len() + histogram.negative_buckets.len(),
            ),
        };
        write!(f, "{{schema: {schema}, count: ")?;
        write_float(f, count)?;
        f.write_str(", sum: ")?;
        write_float(f, sum)?;
        write!(f, ", buckets: {buckets}}}")
    }
}

fn write_float(f: &mut fmt::Formatter<'_>, v: f64) -> fmt::Result {
    let size = v.abs();
    if v.is_infinite() {
        f.write_str(if v > 0.0 { "+Inf" } else { "-Inf" })
    } else if size == 0.0 || v.is_nan() || (1e-6..1e21).contains(&size) {
        write!(f, "{v}")
    } else {
        write!(f, "{v:e}")
    }
}
