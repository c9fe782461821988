//! Ingestion of a write request: samples, then exemplars, then metadata of metric families.
//!
//! Rejected items are recorded, and ingestion continues.

use crate::ingest::exemplar_pass::ExemplarPass;
use crate::ingest::limits::IngestLimits;
use crate::ingest::metadata::FamilyMetadata;
use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::ingest::rejections::RejectedItems;
use crate::ingest::request_state::RequestState;
use crate::ingest::sample_pass::SamplePass;
use crate::ingest::write_request::WriteRequest;
use crate::model::labels::METRIC_NAME;
use crate::tsdb::db::appender::Appender;
use crate::tsdb::db::{FamilyError, WalError};
use std::fmt;

/// Stores a request that arrived at `now_ms` (ms since the Unix epoch), and waits until it is
/// logged. A known series costs one look-up per kind of sample and no allocation.
///
/// # Errors
/// [`WalError`] if the WAL cannot be written. Items may or may not be stored; a retry stores each
/// of them once.
pub fn ingest<R: WriteRequest>(
    appender: Appender<'_>,
    mut request: R,
    limits: &IngestLimits,
    now_ms: i64,
) -> Result<WriteOutcome, WalError> {
    let mut state = RequestState::new(appender, limits, now_ms);
    state.check_size(request.size());
    let rejects_empty = R::REJECTS_EMPTY_SERIES;
    request.visit_series(&mut SamplePass { request: &mut state, rejects_empty });
    request.visit_exemplar_series(&mut ExemplarPass(&mut state));
    for entry in request.families() {
        state.outcome.families += 1;
        store_family(&mut state, entry)?;
    }
    state.appender.commit()?;
    Ok(state.outcome)
}

/// Stores the metadata of a metric family.
///
/// # Errors
/// [`WalError`] if the WAL cannot be written.
fn store_family(state: &mut RequestState<'_>, entry: FamilyMetadata<'_>) -> Result<(), WalError> {
    let family = std::iter::once((METRIC_NAME, entry.family));
    let detail: &dyn fmt::Display = match entry.to_metadata(&state.limits.metadata) {
        Ok(metadata) => match state.appender.set_family_metadata(entry.family, &metadata) {
            Ok(()) => {
                if let Some(over) = entry.exceeded_limit(&state.limits.dry_run.metadata) {
                    state.outcome.dry_run.add(over, 1, family);
                }
                return Ok(());
            }
            Err(FamilyError::Log(error)) => return Err(error),
            Err(FamilyError::Limit(limit)) => &{ limit },
        },
        Err(error) => &{ error },
    };
    let (kind, reason) = (ItemKind::Metadata, RejectReason::Metadata);
    state.outcome.rejections.add_all(RejectedItems { kind, reason, count: 1, detail }, family);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ingest;
    use crate::ingest::item_error::InvalidItem;
    use crate::ingest::limits::DryRunLimits;
    use crate::ingest::limits::{IngestLimits, LabelLimits};
    use crate::ingest::metadata::{FamilyMetadata, MetadataLimits};
    use crate::ingest::outcome::WriteOutcome;
    use crate::ingest::reject_reason::RejectReason;
    use crate::ingest::test_series::{TestRequest, TestSeries};
    use crate::model::exemplar::Exemplar;
    use crate::model::matcher::{MatchType, Matcher};
    use crate::model::metadata::{MetadataRef, MetricType};
    use crate::model::sample::{Sample, SampleValue};
    use crate::model::time::TimeRange;
    use crate::tsdb::db::LockedDir;
    use crate::tsdb::db::options::DbOptions;
    use crate::tsdb::db::{Db, list_all};
    use tempfile::TempDir;

    const NOW: i64 = 1_762_300_800_000;
    const LIMITS: IngestLimits = IngestLimits {
        labels: LabelLimits { count: 10, name_bytes: 20, value_bytes: 20 },
        metadata: MetadataLimits { name_bytes: 20, text_bytes: 20 },
        max_future_ms: 1000,
        dry_run: DryRunLimits::NONE,
    };

    fn db() -> (Db, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let db = LockedDir::open(DbOptions::new(dir.path().to_owned()))
            .unwrap()
            .into_recovery()
            .run()
            .unwrap()
            .db;
        (db, dir)
    }

    fn store(db: &Db, series: &[TestSeries]) -> WriteOutcome {
        let request = TestRequest { series: series.to_vec(), families: Vec::new() };
        ingest(db.appender().unwrap(), request, &LIMITS, NOW).unwrap()
    }

    fn sample(t: i64) -> Sample {
        Sample::new(t, SampleValue::Float(1.0))
    }

    fn exemplar(t: i64) -> Exemplar {
        Exemplar { t, v: 1.0, labels: None }
    }

    fn up(samples: &[i64]) -> TestSeries {
        let samples = samples.iter().map(|t| sample(*t)).collect();
        TestSeries { samples, ..TestSeries::new(&[("__name__", "up")]) }
    }

    fn exemplar_times(db: &Db) -> Vec<i64> {
        let all = [vec![Matcher::new(MatchType::NotEqual, "__name__", "").unwrap()]];
        let found = db.querier().exemplars(&all, TimeRange::ALL);
        found.into_iter().flat_map(|series| series.exemplars).map(|one| one.t).collect()
    }

    #[test]
    fn exemplar_before_the_samples_of_its_series_is_stored() {
        let (db, _dir) = db();
        let outcome = store(
            &db,
            &[
                TestSeries { exemplars: vec![Ok(exemplar(NOW))], ..up(&[]) },
                TestSeries { exemplars: vec![Ok(exemplar(NOW + 1))], ..up(&[NOW]) },
                TestSeries {
                    exemplars: vec![Ok(exemplar(NOW))],
                    ..TestSeries::new(&[("__name__", "other")])
                },
            ],
        );
        assert_eq!((outcome.samples, outcome.exemplars), (1, 2));
        assert_eq!(outcome.rejections.count(RejectReason::UnknownSeries), 1);
        assert_eq!(exemplar_times(&db), [NOW, NOW + 1]);
    }

    #[test]
    fn invalid_items_do_not_reject_their_neighbors() {
        let (db, _dir) = db();
        let outcome = store(
            &db,
            &[TestSeries {
                exemplars: vec![
                    Err(InvalidItem { t: NOW, reason: "bad" }),
                    Ok(exemplar(NOW + 1001)),
                    Ok(exemplar(NOW + 2)),
                ],
                ..up(&[NOW, NOW + 1000, NOW + 1001])
            }],
        );
        assert_eq!((outcome.samples, outcome.exemplars), (2, 1));
        assert_eq!(outcome.newest_ms, Some(NOW + 1001));
        let counts = [RejectReason::TooFarAhead, RejectReason::BadLabels]
            .map(|reason| outcome.rejections.count(reason));
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn unresolved_metadata_rejects_the_whole_entry() {
        let (db, _dir) = db();
        let broken = TestSeries {
            metadata: Some(Err("reference 9")),
            exemplars: vec![Ok(exemplar(NOW))],
            ..up(&[NOW])
        };
        let outcome = store(&db, &[broken, TestSeries::new(&[("__name__", "empty")])]);
        assert_eq!((outcome.samples, outcome.exemplars), (0, 0));
        assert_eq!(outcome.rejections.count(RejectReason::BadLabels), 2);
        assert_eq!(outcome.rejections.count(RejectReason::NoSamples), 1);
        let text = outcome.rejections.to_string();
        assert!(text.contains("metadata: reference 9"), "{text}");
    }

    #[test]
    fn metadata_goes_to_the_series_of_its_entry() {
        let (db, _dir) = db();
        let metadata = MetadataRef { metric_type: MetricType::Gauge, unit: "s", help: "h" };
        let described = |series| TestSeries { metadata: Some(Ok(metadata)), ..series };
        // All samples of the second entry are rejected, so its metadata is not stored.
        let other = TestSeries {
            samples: vec![sample(NOW + 2000)],
            ..TestSeries::new(&[("__name__", "other")])
        };
        let outcome = store(&db, &[described(up(&[NOW])), described(other), up(&[NOW + 1])]);
        assert_eq!((outcome.samples, outcome.without_metadata), (2, 1));
        let stored = list_all(db.head());
        let names: Vec<_> = stored.keys().map(String::as_str).collect();
        assert_eq!(names, ["up"]);
    }

    #[test]
    fn families_over_a_limit_are_counted_and_rejected() {
        let (db, _dir) = db();
        let family = |family| FamilyMetadata { family, help: "h", ..FamilyMetadata::default() };
        let request = TestRequest {
            series: Vec::new(),
            families: vec![family("up"), family("a_family_with_a_long_name")],
        };
        let outcome = ingest(db.appender().unwrap(), request, &LIMITS, NOW).unwrap();
        assert_eq!((outcome.families, outcome.rejections.count(RejectReason::Metadata)), (2, 1));
    }
}
