//! Messages follow the protocol; series are complete, sorted and limited.

use super::{SeriesSink, StoreSeriesError, read_series};
use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::time::TimeRange;
use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::thanos as pb;
use crate::remote::pb::thanos::series_response::Result as Answered;
use crate::remote::read::read_request::ReadAbort;
use crate::remote::read::{ReadLimits, ReadSource};
use crate::remote::thanos::series_message::SeriesMessage;
use crate::testing::golden_read::golden_db;
use crate::tsdb::db::{AnyChunkIter, ChunkEncoding, Db, SupportedEncodings};
use prost::Message;
use std::collections::BTreeMap;

#[derive(Default)]
struct Taken(Vec<pb::SeriesResponse>);

impl SeriesSink for Taken {
    fn check(&mut self) -> Result<(), ReadAbort> {
        Ok(())
    }

    fn reserve(&mut self, _: usize) -> Result<(), ReadAbort> {
        Ok(())
    }

    fn message(&mut self, message: &SeriesMessage<'_>) -> Result<(), ReadAbort> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(bytes.len(), message.encoded_len());
        self.0.push(pb::SeriesResponse::decode(&bytes[..]).unwrap());
        Ok(())
    }
}

impl Taken {
    fn series(&self) -> Vec<pb::Series> {
        let series = self.0.iter().flat_map(|message| match message.result.as_ref().unwrap() {
            Answered::Series(series) => vec![series.clone()],
            Answered::Batch(batch) => batch.series.clone(),
            other => panic!("{other:?}"),
        });
        series.collect()
    }
}

fn source<'a>(db: &'a Db, external: &[(&str, &str)]) -> ReadSource<'a> {
    let limits = ReadLimits {
        samples: None,
        response_bytes: usize::MAX,
        frame_bytes: 1 << 20,
        readable: SupportedEncodings::Baseline,
    };
    ReadSource { db, external: ExternalLabels::new(external.iter().copied()).unwrap(), limits }
}

fn everything() -> pb::SeriesRequest {
    let matcher = pb::LabelMatcher { r#type: 1, name: "__name__".into(), value: String::new() };
    pb::SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: vec![matcher],
        ..Default::default()
    }
}

fn read(source: &ReadSource<'_>, request: &pb::SeriesRequest) -> Taken {
    let mut taken = Taken::default();
    read_series(source, request, &mut taken).unwrap();
    taken
}

fn labels(series: &pb::Series) -> Labels {
    let pairs = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
    pairs.collect::<LabelsBuilder<'_>>().build().unwrap()
}

/// Timestamps and values (as text) of each series.
type Points = BTreeMap<String, Vec<(i64, String)>>;

fn points(all: &[pb::Series]) -> Points {
    let mut points = Points::new();
    for series in all {
        let own = points.entry(labels(series).to_string()).or_default();
        for chunk in &series.chunks {
            let raw = chunk.raw.as_ref().unwrap();
            let encoding =
                [ChunkEncoding::Xor, ChunkEncoding::Histogram, ChunkEncoding::FloatHistogram]
                    [raw.r#type as usize];
            for point in AnyChunkIter::new(encoding, &raw.data) {
                let point = point.unwrap();
                assert!((chunk.min_time..=chunk.max_time).contains(&point.t));
                own.push((point.t, format!("{:?}", point.value)));
            }
        }
        assert!(own.is_sorted_by_key(|(t, _)| *t));
    }
    points
}

fn stored(db: &Db, external: &ExternalLabels) -> Points {
    let matchers = crate::remote::thanos::selection::SeriesSelection::from_wire(
        &everything().matchers,
        &ExternalLabels::default(),
    );
    let Ok(crate::remote::thanos::selection::SeriesSelection::Matching(matchers)) = matchers else {
        panic!("no matchers")
    };
    let series = db.querier().select(&matchers, TimeRange::ALL).unwrap().map(|series| {
        let series = series.unwrap();
        let points = series.samples(TimeRange::ALL).map(|point| point.unwrap());
        let points = points.map(|point| (point.t, format!("{:?}", point.value)));
        (external.add(series.labels()).to_string(), points.collect())
    });
    series.collect()
}

/// Removes the counter reset hints, which depend on chunk boundaries.
fn without_hints(points: Points) -> Points {
    let strip = |text: String| match (text.find("reset_hint"), text.contains("Gauge")) {
        (Some(at), false) => {
            let end = text[at..].find(',').map_or(text.len(), |len| at + len);
            format!("{}{}", &text[..at], &text[end..])
        }
        _ => text,
    };
    points
        .into_iter()
        .map(|(key, all)| (key, all.into_iter().map(|(t, v)| (t, strip(v))).collect()))
        .collect()
}

#[test]
fn chunks_contain_all_samples_of_all_kinds() {
    let (db, _dir) = golden_db();
    let external = [("cluster", "a"), ("replica", "0")];
    let source = source(&db, &external);
    let taken = read(&source, &everything());
    let series = taken.series();
    assert!(series.len() > 10 && taken.0.len() == series.len());
    assert!(series.iter().map(labels).is_sorted());
    assert_eq!(without_hints(points(&series)), without_hints(stored(&db, &source.external)));
    let batched = read(&source, &pb::SeriesRequest { response_batch_size: 4, ..everything() });
    assert_eq!(batched.series(), series);
    assert!(batched.0.len() < series.len());
}

#[test]
fn response_matches_the_request() {
    let (db, _dir) = golden_db();
    let source = source(&db, &[("cluster", "a"), ("replica", "0")]);
    let all = read(&source, &everything()).series();
    let skipped = read(&source, &pb::SeriesRequest { skip_chunks: true, ..everything() }).series();
    assert_eq!(
        skipped.iter().map(labels).collect::<Vec<_>>(),
        all.iter().map(labels).collect::<Vec<_>>()
    );
    assert!(skipped.iter().all(|series| series.chunks.is_empty()));
    assert_eq!(read(&source, &pb::SeriesRequest { limit: 3, ..everything() }).series(), all[..3]);
    let shards = (0..3).flat_map(|shard_index| {
        let shard_info = Some(pb::ShardInfo {
            shard_index,
            total_shards: 3,
            by: false,
            labels: vec!["i".into()],
        });
        read(&source, &pb::SeriesRequest { shard_info, ..everything() }).series()
    });
    let mut shards: Vec<_> = shards.collect();
    shards.sort_by_key(labels);
    assert_eq!(shards, all);
    let unreplicated =
        pb::SeriesRequest { without_replica_labels: vec!["replica".into()], ..everything() };
    let series = read(&source, &unreplicated).series();
    assert_eq!(series.len(), all.len());
    assert!(series.iter().all(|series| labels(series).get("replica").is_none()));
    // `i` is a label of stored series; without it their order changes.
    let renamed = pb::SeriesRequest { without_replica_labels: vec!["i".into()], ..everything() };
    let series = read(&source, &renamed).series();
    assert_eq!(series.len(), all.len());
    assert!(series.iter().map(labels).is_sorted());
    let points_of =
        |series: &[pb::Series]| series.iter().map(|one| one.chunks.len()).sum::<usize>();
    assert_eq!(points_of(&series), points_of(&all));
}

#[test]
fn series_is_selected_again_by_labels() {
    let (db, _dir) = golden_db();
    let source = source(&db, &[]);
    let all = read(&source, &everything()).series();
    for one in &all {
        let found =
            super::select_one(&db.querier(), &labels(one), TimeRange::ALL).unwrap().unwrap();
        assert_eq!((found.labels(), found.chunks().len() > 0), (&labels(one), true));
    }
    let none =
        [("__name__", "not_there")].into_iter().collect::<LabelsBuilder<'_>>().build().unwrap();
    assert!(super::select_one(&db.querier(), &none, TimeRange::ALL).unwrap().is_none());
}

#[test]
fn external_label_matchers_decide_the_response() {
    let (db, _dir) = golden_db();
    let source = source(&db, &[("cluster", "a")]);
    let with = |matcher: (&str, &str)| {
        let matcher =
            pb::LabelMatcher { r#type: 0, name: matcher.0.into(), value: matcher.1.into() };
        let mut request = everything();
        request.matchers.push(matcher);
        read(&source, &request).series().len()
    };
    assert!(with(("cluster", "a")) > 10);
    assert_eq!(with(("cluster", "b")), 0);
    let only = pb::LabelMatcher { r#type: 0, name: "cluster".into(), value: "a".into() };
    let request = pb::SeriesRequest { matchers: vec![only], ..everything() };
    let result = read_series(&source, &request, &mut Taken::default());
    assert!(matches!(result, Err(StoreSeriesError::NoMatchers)), "{result:?}");
}
