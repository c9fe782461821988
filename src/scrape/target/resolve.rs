//! Relabeling and checks of a target.

use super::defaults::TargetDefaults;
use super::discovered::discovered_labels;
use super::error::TargetError;
use super::label_names::{
    ADDRESS, ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS, CONVERT_CLASSIC_HISTOGRAMS, INSTANCE,
    INTERNAL_PREFIX, META_PREFIX, SCRAPE_INTERVAL, SCRAPE_NATIVE_HISTOGRAMS, SCRAPE_TIMEOUT,
    UNIX_SOCKET,
};
use super::url::target_url;
use crate::config::units::parse_duration;
use crate::model::label_editor::LabelEditor;
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::relabel::{Verdict, apply};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Target after relabeling, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Labels before relabeling, sorted by name.
    pub discovered: Arc<[(String, String)]>,
    /// All labels without `__meta_*`.
    pub labels: Labels,
    /// Labels of its series: those without the prefix `__`. Contains at least `instance`.
    pub series_labels: Labels,
    /// URL to scrape.
    pub url: String,
    /// Path of a unix socket to connect to instead of the host of the URL.
    pub unix_socket: Option<String>,
    /// Time between two scrapes, not zero.
    pub interval: Duration,
    /// Maximum duration of a scrape, not zero and at most the interval.
    pub timeout: Duration,
    /// Whether native histograms are read.
    pub scrape_native_histograms: bool,
    /// Whether classic histograms become native histograms with custom buckets.
    pub convert_classic_histograms: bool,
    /// Whether the classic form of a native histogram is stored, too.
    pub always_scrape_classic_histograms: bool,
}

/// Result of relabeling a target.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetOutcome {
    /// The target is scraped.
    Active(Box<Target>),
    /// A rule dropped the target.
    Dropped {
        /// Labels before relabeling, sorted by name.
        discovered: Arc<[(String, String)]>,
    },
}

/// Adds the defaults of the job to the labels of a target, relabels and checks them. `labels` is a
/// buffer.
///
/// # Errors
/// [`TargetError`] for a target that cannot be scraped.
pub fn resolve(
    defaults: &TargetDefaults,
    group: &BTreeMap<String, String>,
    target: &BTreeMap<String, String>,
    labels: &mut LabelEditor,
) -> Result<TargetOutcome, TargetError> {
    discovered_labels(defaults, group, target, labels);
    let discovered: Arc<[(String, String)]> = labels.sorted().into();
    if apply(&defaults.relabel_rules, labels)? == Verdict::Drop {
        return Ok(TargetOutcome::Dropped { discovered });
    }
    let address = labels.get(ADDRESS).to_owned();
    // An address is necessary even with a unix socket: it is the header Host.
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    if address.contains('/') {
        return Err(TargetError::InvalidAddress { address });
    }
    let interval = duration(labels, SCRAPE_INTERVAL)?;
    let timeout = duration(labels, SCRAPE_TIMEOUT)?;
    if timeout > interval {
        let [timeout, interval] =
            [SCRAPE_TIMEOUT, SCRAPE_INTERVAL].map(|label| labels.get(label).to_owned());
        return Err(TargetError::TimeoutAboveInterval { timeout, interval });
    }
    let convert_classic_histograms =
        switch(labels, CONVERT_CLASSIC_HISTOGRAMS, defaults.convert_classic_histograms)?;
    let always_scrape_classic_histograms = switch(
        labels,
        ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS,
        defaults.always_scrape_classic_histograms,
    )?;
    let scrape_native_histograms =
        switch(labels, SCRAPE_NATIVE_HISTOGRAMS, defaults.scrape_native_histograms)?;
    labels.retain_names(|name| !name.starts_with(META_PREFIX));
    if labels.get(INSTANCE).is_empty() {
        labels.set(INSTANCE, &address);
    }
    let all = labels.build()?;
    let mut public: LabelsBuilder<'_> =
        all.iter().filter(|(name, _)| !name.starts_with(INTERNAL_PREFIX)).collect();
    let series_labels = public.build().map_err(|error| TargetError::Labels(error.into()))?;
    let target = Target {
        discovered,
        series_labels,
        url: target_url(&all, &defaults.params),
        unix_socket: all.get(UNIX_SOCKET).map(str::to_owned),
        interval,
        timeout,
        scrape_native_histograms,
        convert_classic_histograms,
        always_scrape_classic_histograms,
        labels: all,
    };
    Ok(TargetOutcome::Active(Box::new(target)))
}

fn duration(labels: &LabelEditor, label: &'static str) -> Result<Duration, TargetError> {
    let value = labels.get(label);
    let invalid = |_| TargetError::InvalidDuration { label, value: value.to_owned() };
    let duration = parse_duration(value).map_err(invalid)?;
    if duration.is_zero() { Err(TargetError::ZeroDuration { label }) } else { Ok(duration) }
}

/// Reads a switch in one of the forms that Go's `strconv.ParseBool` accepts.
fn switch(labels: &LabelEditor, label: &'static str, default: bool) -> Result<bool, TargetError> {
    match labels.get(label) {
        "" => Ok(default),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        value => Err(TargetError::InvalidBoolean { label, value: value.to_owned() }),
    }
}
