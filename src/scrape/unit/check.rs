//! Check of a body: from its bytes to staged samples. Storage is not touched.
//!
//! # Order
//! As in Prometheus: metric relabeling, names, label limits, limits of native histograms, sample
//! limit. The first three end the check at the first error. The limits of histograms and samples
//! are checked to the end of the body, so that the counts are complete.
//!
//! # Cost
//! A known series costs one look-up of its raw bytes. Labels are made for unknown series only, and
//! float samples of known series allocate nothing.

use crate::exposition::entry::{EntryKind, EntryValue, ExemplarEntry, MetadataEntry, MetadataItem};
use crate::exposition::format::Format;
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::open::open_parser;
use crate::exposition::parser::Parser;
use crate::ingest::reject_reason::ItemKind;
use crate::model::exemplar::Exemplar;
use crate::model::histogram::limits::HistogramLimitError;
use crate::model::histogram::validate::InvalidHistogram;
use crate::model::label_editor::LabelEditor;
use crate::model::labels::{Labels, LabelsBuilder, METRIC_NAME};
use crate::model::metadata::MetricType;
use crate::model::relabel::{Verdict, apply};
use crate::model::sample::{Sample, SampleValue};
use crate::scrape::cache::metadata::{MetadataCache, MetadataUpdate, is_in_family};
use crate::scrape::cache::series::{EntryId, EntryState, SeriesCache};
use crate::scrape::cache::unstored::UnstoredSeries;
use crate::scrape::target::series_labels::add_target_labels;
use crate::scrape::unit::error::{MAX_SAMPLES, ScrapeError, SeriesText};
use crate::scrape::unit::report::ReportSeries;
use crate::scrape::unit::settings::{StartTimestamps, UnitSettings};
use crate::scrape::unit::staging::{RepeatedSample, SampleFlags, StagedExemplar, StagedScrape};
use crate::tsdb::db::SeriesHandle;
use parking_lot::Mutex;

/// Maximum number of exemplars of a sample that are stored.
const MAX_EXEMPLARS: usize = 1024;

/// Check of one body.
pub(super) struct Check<'a> {
    pub(super) settings: &'a UnitSettings,
    /// Timestamp of samples without their own, ms.
    pub(super) timestamp_ms: i64,
    pub(super) series: &'a mut SeriesCache<SeriesHandle>,
    pub(super) unstored: &'a UnstoredSeries,
    pub(super) metadata: &'a Mutex<MetadataCache>,
    pub(super) report: &'a ReportSeries,
    pub(super) staged: &'a mut StagedScrape,
    pub(super) scratch: &'a mut CheckScratch,
}

/// Buffers of a check that the next one reuses.
#[derive(Debug, Default)]
pub(super) struct CheckScratch {
    labels: LabelBuffer,
    editor: LabelEditor,
    exemplar: ExemplarEntry,
    sample_exemplars: Vec<StagedExemplar>,
    family: Family,
}

/// Family of the last metadata of the body.
#[derive(Debug, Default)]
struct Family {
    name: String,
    state: FamilyState,
}

#[derive(Clone, Copy, Debug, Default)]
enum FamilyState {
    /// The body had no metadata yet.
    #[default]
    None,
    /// Metadata whose series did not follow yet.
    Unread,
    /// Type, whether the metadata changed, and the position among the staged families.
    Read { metric_type: MetricType, is_changed: bool, position: Option<u32> },
}

/// Limits that a body exceeds, of which the first series is reported at the end.
#[derive(Debug, Default)]
struct OverLimits {
    /// Samples that count for the sample limit.
    limited: u64,
    buckets: Option<ScrapeError>,
}

impl Check<'_> {
    /// Reads the whole body. The counts are valid after an error, too.
    pub(super) fn run(mut self, body: &[u8], format: Format) -> Result<(), ScrapeError> {
        self.scratch.family.state = FamilyState::None;
        let mut over = OverLimits::default();
        let mut parser = open_parser(body, format, self.settings.parser);
        while let Some(kind) = parser.next_entry().map_err(ScrapeError::Parse)? {
            match kind {
                EntryKind::Metadata => self.read_metadata(parser.metadata()),
                EntryKind::Series => self.read_series(&*parser, &mut over)?,
            }
        }
        let limit = self.settings.sample_limit;
        if limit > 0 && over.limited > limit {
            return Err(ScrapeError::SampleLimit { samples: over.limited, limit });
        }
        over.buckets.map_or(Ok(()), Err)
    }

    fn read_metadata(&mut self, entry: MetadataEntry<'_>) {
        let update = match entry.item {
            MetadataItem::Type(metric_type) => MetadataUpdate::Type(metric_type),
            MetadataItem::Help(help) => MetadataUpdate::Help(help),
            MetadataItem::Unit(unit) => MetadataUpdate::Unit(unit),
        };
        self.metadata.lock().set(entry.family, update);
        let family = &mut self.scratch.family;
        if family.name != entry.family {
            family.name.clear();
            family.name.push_str(entry.family);
        }
        family.state = FamilyState::Unread;
    }

    fn read_series(
        &mut self,
        parser: &dyn Parser,
        over: &mut OverLimits,
    ) -> Result<(), ScrapeError> {
        self.staged.counts.scraped += 1;
        if self.staged.counts.scraped > MAX_SAMPLES {
            return Err(ScrapeError::TooManySamples);
        }
        let entry = parser.series();
        let explicit = entry.timestamp.filter(|_| self.settings.honor_timestamps);
        let t = explicit.unwrap_or(self.timestamp_ms);
        let kind = match entry.value {
            EntryValue::Float(_) => ItemKind::Sample,
            _ => ItemKind::Histogram,
        };
        let (id, is_new) = match self.series.see(entry.key) {
            Some(seen) => match self.series.state(seen.id) {
                EntryState::Dropped => return Ok(()),
                EntryState::Reserved(_) => {
                    self.reject_repeated(seen.id, kind, t);
                    return Ok(());
                }
                _ if seen.is_repeated && explicit.is_none() => {
                    self.reject_repeated(seen.id, kind, t);
                    return Ok(());
                }
                EntryState::Pending(_) => (seen.id, true),
                EntryState::Series(_) => (seen.id, false),
            },
            None => match self.insert(parser, entry.key)? {
                Insertion::Dropped => return Ok(()),
                Insertion::Reserved(id) => {
                    self.reject_repeated(id, kind, t);
                    return Ok(());
                }
                Insertion::New(id) => (id, true),
            },
        };
        let value = match self.check_value(entry.value) {
            Ok(value) => value,
            Err(error) => {
                return Err(ScrapeError::Histogram { error, series: self.name_series(id) });
            }
        };
        self.staged.counts.post_relabeling += 1;
        let value = match value {
            CheckedValue::Within(value) => value,
            CheckedValue::Over(error) => {
                let series = self.name_series(id);
                over.buckets.get_or_insert(ScrapeError::BucketLimit { error, series });
                return Ok(());
            }
        };
        // A stale marker of a known series is exempt, so that no limit keeps a series alive.
        over.limited += u64::from(is_new || !value.is_stale());
        let limit = self.settings.sample_limit;
        if (limit > 0 && over.limited > limit) || over.buckets.is_some() {
            return Ok(());
        }
        let is_counted = is_new && self.unstored.contains(entry.key);
        if is_new && !is_counted {
            self.count_added(id);
        }
        let start_timestamp = match self.settings.start_timestamps {
            StartTimestamps::Ignore => 0,
            StartTimestamps::StoreZero | StartTimestamps::Store => entry.start_timestamp,
        };
        let tracks_staleness = explicit.is_none() || self.settings.track_timestamps_staleness;
        let position = self.staged.samples.len() as u32;
        let flags = SampleFlags { tracks_staleness, is_counted };
        self.staged.push(id, Sample { start_timestamp, t, value }, flags);
        self.read_exemplars(parser, position, t, kind);
        self.associate_metadata(id, is_new);
        Ok(())
    }

    /// Counts a new series once. The count is that of a scrape that fails; a stored one counts what
    /// storage accepts.
    fn count_added(&mut self, id: EntryId) {
        let is_first = self.staged.samples.last().is_none_or(|last| last.series != id);
        self.staged.counts.added += u64::from(is_first);
    }

    fn reject_repeated(&mut self, series: EntryId, kind: ItemKind, t: i64) {
        self.staged.counts.post_relabeling += 1;
        self.staged.repeated.push(RepeatedSample { series, kind, t });
    }

    /// Inserts an unknown series into the cache.
    fn insert(&mut self, parser: &dyn Parser, key: &[u8]) -> Result<Insertion, ScrapeError> {
        let Some(labels) = self.resolve_labels(parser)? else {
            self.series.insert(key, EntryState::Dropped)?;
            return Ok(Insertion::Dropped);
        };
        if let Some(number) = self.report.position(&labels) {
            let id = self.series.insert(key, EntryState::Reserved(number))?;
            return Ok(Insertion::Reserved(id));
        }
        let number = self.staged.new_series.len() as u32;
        self.staged.new_series.push(labels);
        Ok(Insertion::New(self.series.insert(key, EntryState::Pending(number))?))
    }

    /// Returns the labels under which a series is stored, or `None` if it is dropped.
    fn resolve_labels(&mut self, parser: &dyn Parser) -> Result<Option<Labels>, ScrapeError> {
        let settings = self.settings;
        let CheckScratch { labels, editor, .. } = &mut *self.scratch;
        parser.labels(labels);
        editor.clear();
        for (name, value) in labels.iter() {
            editor.push(name, value);
        }
        editor.sort_initial();
        add_target_labels(editor, &settings.target_labels, settings.honor_labels);
        let verdict = apply(&settings.metric_relabeling, editor)?;
        if verdict == Verdict::Drop || editor.is_empty() {
            return Ok(None);
        }
        let labels = editor.build()?;
        let Some(metric) = labels.get(METRIC_NAME) else {
            return Err(ScrapeError::NoMetricName(SeriesText::new(&labels)));
        };
        let validation = settings.validation;
        let are_valid = validation.is_valid_metric_name(metric)
            && labels.iter().all(|(name, _)| validation.is_valid_label_name(name));
        if !are_valid {
            return Err(ScrapeError::InvalidNames(SeriesText::new(&labels)));
        }
        settings.label_limits.check(&labels).map_err(ScrapeError::LabelLimit)?;
        Ok(Some(labels))
    }

    /// Validates a histogram and reduces its resolution to the limits.
    fn check_value(&self, value: EntryValue<'_>) -> Result<CheckedValue, InvalidHistogram> {
        let limits = self.settings.histogram_limits;
        let (value, limited) = match value {
            EntryValue::Float(v) => return Ok(CheckedValue::Within(SampleValue::Float(v))),
            EntryValue::Histogram(histogram) => {
                histogram.validate()?;
                let mut histogram = Box::new(histogram.clone());
                let limited = limits.limit(&mut histogram);
                (SampleValue::Histogram(histogram), limited)
            }
            EntryValue::FloatHistogram(histogram) => {
                histogram.validate()?;
                let mut histogram = Box::new(histogram.clone());
                let limited = limits.limit_float(&mut histogram);
                (SampleValue::FloatHistogram(histogram), limited)
            }
        };
        Ok(limited.map_or_else(CheckedValue::Over, |()| CheckedValue::Within(value)))
    }

    /// Stages the exemplars of a sample. Those of native histograms need a timestamp.
    fn read_exemplars(&mut self, parser: &dyn Parser, position: u32, t: i64, kind: ItemKind) {
        let CheckScratch { exemplar, sample_exemplars, .. } = &mut *self.scratch;
        let mut index = 0;
        while index < MAX_EXEMPLARS && parser.exemplar(index, exemplar) {
            index += 1;
            let is_timed = exemplar.timestamp.is_some();
            if !is_timed && kind == ItemKind::Histogram {
                continue;
            }
            let t = exemplar.timestamp.unwrap_or(t);
            let labels = if exemplar.labels.is_empty() {
                None
            } else {
                // Exemplars never fail a scrape, so one with invalid labels is ignored.
                match exemplar.labels.iter().collect::<LabelsBuilder<'_>>().build() {
                    Ok(labels) => Some(labels),
                    Err(_) => continue,
                }
            };
            let exemplar = Exemplar { t, v: exemplar.value, labels };
            sample_exemplars.push(StagedExemplar { position, is_timed, exemplar });
        }
        sample_exemplars.sort_by(|a, b| {
            let (a, b) = (&a.exemplar, &b.exemplar);
            a.t.cmp(&b.t).then(a.v.total_cmp(&b.v)).then_with(|| a.labels.cmp(&b.labels))
        });
        self.staged.exemplars.append(sample_exemplars);
    }

    /// Stages the metadata of a series, if the series is new or the metadata changed.
    fn associate_metadata(&mut self, id: EntryId, is_new: bool) {
        if let FamilyState::Unread = self.scratch.family.state {
            self.read_family();
        }
        let family = &mut self.scratch.family;
        let FamilyState::Read { metric_type, is_changed, position } = &mut family.state else {
            return;
        };
        if !is_new && !*is_changed {
            return;
        }
        let metric = match self.series.state(id) {
            EntryState::Series(handle) => handle.labels().get(METRIC_NAME),
            EntryState::Pending(number) => {
                let labels = self.staged.new_series.get(number as usize);
                labels.and_then(|labels| labels.get(METRIC_NAME))
            }
            EntryState::Dropped | EntryState::Reserved(_) => None,
        };
        if !metric.is_some_and(|metric| is_in_family(metric, &family.name, *metric_type)) {
            return;
        }
        let position = *position.get_or_insert_with(|| {
            self.staged.families.push(family.name.clone());
            self.staged.families.len() as u32 - 1
        });
        self.staged.metadata.push((id, position));
    }

    fn read_family(&mut self) {
        let metadata = self.metadata.lock();
        let family = &mut self.scratch.family;
        family.state = match metadata.get_with_change(&family.name) {
            Some((metadata, is_changed)) => {
                FamilyState::Read { metric_type: metadata.metric_type, is_changed, position: None }
            }
            None => FamilyState::None,
        };
    }

    fn name_series(&self, id: EntryId) -> SeriesText {
        match self.series.state(id) {
            EntryState::Series(handle) => SeriesText::new(handle.labels()),
            EntryState::Pending(number) => match self.staged.new_series.get(number as usize) {
                Some(labels) => SeriesText::new(labels),
                None => SeriesText::new("a series"),
            },
            EntryState::Dropped | EntryState::Reserved(_) => SeriesText::new("a series"),
        }
    }
}

/// Result of inserting an unknown series.
enum Insertion {
    Dropped,
    Reserved(EntryId),
    New(EntryId),
}

/// Valid value, compared with the limits.
enum CheckedValue {
    Within(SampleValue),
    Over(HistogramLimitError),
}
