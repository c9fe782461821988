//! `thanos.Store`, `thanos.info.Info`, `thanos.Exemplars` and `thanos.Metadata` as a Thanos Query
//! uses them. It merges the responses of several stores, so each must be sorted by the labels in
//! the response. `tests/thanos/test_query.py` does the same with a real one.

use std::time::Duration;

use narthex::remote::pb::prometheus;
use narthex::remote::pb::thanos as pb;
use narthex::remote::pb::thanos::info::{InfoRequest, InfoResponse};
use narthex::remote::pb::thanos::series_response::Result as Answered;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::support::launch::{Launch, Server};
use crate::support::points::Points;
use crate::support::samples::LabelSet;
use crate::support::streamed::{Chunk, ChunkedReadResponse, ChunkedSeries, contents};
use crate::support::wire::{Exemplar, Label, MetricMetadata, Sample, TimeSeries, WriteRequest};
use crate::support::{dir, golden};

const KEEP_ALL: &str = "--storage.tsdb.retention.time=100y";
const NEWER: &str = "--enable-feature=xor2-encoding,st-storage,histograms-st-encoding";

/// Client connection of a Thanos Query. Drop it before the server stops, which waits for the
/// connection otherwise.
struct Query {
    runtime: Runtime,
    channel: Channel,
}

impl Query {
    fn of(server: &Server) -> Query {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let endpoint = Endpoint::from_shared(server.http.url(""))
            .expect("an address")
            .timeout(Duration::from_secs(60));
        let channel =
            runtime.block_on(endpoint.connect()).expect("the server accepts a connection");
        Query { runtime, channel }
    }

    /// Returns all messages of a response.
    fn stream<Q, A>(&self, method: &'static str, request: Q) -> Result<Vec<A>, Status>
    where
        Q: prost::Message + Default + 'static,
        A: prost::Message + Default + 'static,
    {
        let codec: ProstCodec<Q, A> = ProstCodec::new();
        let mut client = Grpc::new(self.channel.clone());
        self.runtime.block_on(async {
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let response = client
                .server_streaming(Request::new(request), PathAndQuery::from_static(method), codec)
                .await?;
            let (mut messages, mut all) = (response.into_inner(), Vec::new());
            while let Some(message) = messages.message().await? {
                all.push(message);
            }
            Ok(all)
        })
    }

    /// Returns the only message of a response.
    fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, Status>
    where
        Q: prost::Message + Default + 'static,
        A: prost::Message + Default + 'static,
    {
        let mut all = self.stream(method, request)?;
        assert_eq!(all.len(), 1, "{method} has one message");
        Ok(all.remove(0))
    }

    fn series(&self, request: pb::SeriesRequest) -> Vec<pb::Series> {
        let messages: Vec<pb::SeriesResponse> =
            self.stream("/thanos.Store/Series", request).expect("a valid request");
        let series = messages.into_iter().flat_map(|message| match message.result {
            Some(Answered::Series(series)) => vec![series],
            Some(Answered::Batch(batch)) => batch.series,
            other => panic!("neither series nor batch: {other:?}"),
        });
        series.collect()
    }
}

fn all_series_request() -> pb::SeriesRequest {
    let matcher = pb::LabelMatcher { r#type: 2, name: "__name__".into(), value: ".+".into() };
    pb::SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: vec![matcher],
        ..Default::default()
    }
}

fn labels(series: &pb::Series) -> LabelSet {
    series.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
}

/// Decodes the samples of all chunks.
fn points(all: &[pb::Series]) -> Points {
    let frames = all.iter().map(|series| {
        let chunks = series.chunks.iter().map(|chunk| {
            let raw = chunk.raw.as_ref().expect("a raw chunk");
            // Encodings of Thanos start at 0, those of Prometheus at 1.
            Chunk {
                mint: chunk.min_time,
                maxt: chunk.max_time,
                encoding: raw.r#type + 1,
                data: raw.data.clone(),
            }
        });
        let labels = series
            .labels
            .iter()
            .map(|label| Label { name: label.name.clone(), value: label.value.clone() });
        let series = ChunkedSeries { labels: labels.collect(), chunks: chunks.collect() };
        ChunkedReadResponse { chunked_series: vec![series], query_index: 0 }
    });
    contents(&frames.collect::<Vec<_>>()).0
}

fn with_labels(points: &Points, external: &[(&str, &str)]) -> Points {
    let mut all = Points::new();
    for (own, t, value) in points.iter() {
        let mut labels = own.clone();
        labels
            .extend(external.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        labels.sort();
        all.add(&labels, t, value.clone());
    }
    all
}

fn launch(data: &std::path::Path, replica: &str) -> Launch {
    let config =
        format!("global:\n  external_labels:\n    cluster: golden\n    replica: {replica}\n");
    Launch::narthex(data).config(data, &config).flag(KEEP_ALL)
}

#[test]
fn thanos_with_oldest_encodings_reads_all_samples() {
    let cases = [
        "blocks-clean",
        "deletes",
        "ooo-compacted",
        "xor2",
        "xor2-switched",
        "start-timestamps",
        "all-types-killed",
    ];
    for case in cases {
        let temp_dir = dir::temp();
        let data = golden::unpack(case, temp_dir.path());
        let server = launch(&data, "r1").flag(NEWER).start();
        let series = Query::of(&server).series(all_series_request());
        let names: Vec<LabelSet> = series.iter().map(labels).collect();
        assert!(names.is_sorted(), "{case}: series are not sorted");
        let expected =
            with_labels(&golden::expected(case), &[("cluster", "golden"), ("replica", "r1")]);
        // Either of two values at the same timestamp is valid.
        let is_unique =
            |labels: &LabelSet, _| !labels.iter().any(|(_, value)| value == "golden_ooo_same_time");
        points(&series).filter(is_unique).assert_equals(&expected.filter(is_unique), case);
        server.stop();
    }
}

#[test]
fn responses_of_replicas_can_be_merged() {
    let (temp_dir, mut all) = (dir::temp(), Vec::new());
    for replica in ["r1", "r2"] {
        let replica_dir = temp_dir.path().join(replica);
        std::fs::create_dir(&replica_dir).expect("a new directory");
        let server = launch(&golden::unpack("blocks-clean", &replica_dir), replica).start();
        let query = Query::of(&server);
        let without = pb::SeriesRequest {
            without_replica_labels: vec!["replica".into()],
            ..all_series_request()
        };
        let series = query.series(without.clone());
        assert!(series.iter().map(labels).is_sorted());
        assert!(
            series.iter().all(|series| labels(series).iter().all(|(name, _)| name != "replica"))
        );
        let batched = query.series(pb::SeriesRequest { response_batch_size: 7, ..without.clone() });
        assert_eq!(batched, series);
        let shard = |shard_index| {
            let shard_info = Some(pb::ShardInfo {
                shard_index,
                total_shards: 2,
                by: true,
                labels: vec!["__name__".into()],
            });
            query.series(pb::SeriesRequest { shard_info, ..without.clone() })
        };
        let mut shards = [shard(0), shard(1)].concat();
        shards.sort_by_key(labels);
        assert_eq!(shards, series);
        let skipped = query.series(pb::SeriesRequest { skip_chunks: true, limit: 5, ..without });
        assert_eq!(
            skipped.iter().map(labels).collect::<Vec<_>>(),
            series[..5].iter().map(labels).collect::<Vec<_>>()
        );
        assert!(skipped.iter().all(|series| series.chunks.is_empty()));
        all.push(series);
        drop(query);
        server.stop();
    }
    // Both have the same series with the same labels, so a merge finds adjacent duplicates.
    assert_eq!(
        all[0].iter().map(labels).collect::<Vec<_>>(),
        all[1].iter().map(labels).collect::<Vec<_>>()
    );
    points(&all[0]).assert_equals(
        &with_labels(&golden::expected("blocks-clean"), &[("cluster", "golden")]),
        "merged",
    );
}

#[test]
fn label_lists_include_external_labels() {
    let temp_dir = dir::temp();
    let server = launch(&golden::unpack("blocks-clean", temp_dir.path()), "r1").start();
    let query = Query::of(&server);
    let times = (1_762_300_000_000, 1_762_350_000_000);
    let names = |without: &[&str]| {
        let request = pb::LabelNamesRequest {
            start: times.0,
            end: times.1,
            without_replica_labels: without.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        query
            .call::<_, pb::LabelNamesResponse>("/thanos.Store/LabelNames", request)
            .expect("a valid request")
            .names
    };
    let all = names(&[]);
    assert!(all.is_sorted() && all.len() > 3);
    for name in ["__name__", "cluster", "replica"] {
        assert!(all.iter().any(|found| found == name), "{name} is not in {all:?}");
    }
    assert_eq!(names(&["replica"]).len(), all.len() - 1);
    let values = |label: &str, matchers: Vec<pb::LabelMatcher>| {
        let request = pb::LabelValuesRequest {
            label: label.into(),
            start: times.0,
            end: times.1,
            matchers,
            ..Default::default()
        };
        query
            .call::<_, pb::LabelValuesResponse>("/thanos.Store/LabelValues", request)
            .map(|response| response.values)
    };
    let matcher = |name: &str, value: &str| pb::LabelMatcher {
        r#type: 0,
        name: name.into(),
        value: value.into(),
    };
    let metrics = values("__name__", Vec::new()).expect("a valid request");
    let expected = golden::expected("blocks-clean");
    let stored: std::collections::BTreeSet<&str> = expected
        .label_sets()
        .filter_map(|labels| {
            labels.iter().find(|(name, _)| name == "__name__").map(|(_, value)| value.as_str())
        })
        .collect();
    assert_eq!(metrics, stored.into_iter().collect::<Vec<_>>());
    assert_eq!(values("cluster", Vec::new()).expect("a valid request"), ["golden"]);
    assert_eq!(
        values("cluster", vec![matcher("__name__", "not_there")]).expect("a valid request"),
        [""; 0]
    );
    assert_eq!(
        values("__name__", vec![matcher("cluster", "another")]).expect("a valid request"),
        [""; 0]
    );
    assert_eq!(values("", Vec::new()).expect_err("no label").code(), Code::InvalidArgument);
    drop(query);
    server.stop();
}

#[test]
fn info_without_samples_has_least_min_time() {
    let temp_dir = dir::temp();
    let server = launch(temp_dir.path(), "r1").start();
    let query = Query::of(&server);
    let info: InfoResponse =
        query.call("/thanos.info.Info/Info", InfoRequest {}).expect("a valid request");
    let store = info.store.expect("a store");
    assert_eq!((store.min_time, store.max_time), (i64::MIN, i64::MAX));
    assert_eq!(store.tsdb_infos[0].min_time, i64::MIN);
    drop(query);
    server.stop();
}

#[test]
fn info_exemplars_and_metadata_are_served() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    std::fs::create_dir(&data).expect("a new directory");
    let server = launch(&data, "r1").start();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is after 1970")
        .as_millis() as i64;
    let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
    let series = TimeSeries {
        labels: vec![label("__name__", "seen_total"), label("job", "j")],
        samples: vec![Sample { bits: Some(1.5f64.to_bits()), timestamp: now }],
        exemplars: vec![Exemplar {
            labels: vec![label("trace_id", "abc")],
            bits: Some(0.25f64.to_bits()),
            timestamp: now,
        }],
        ..TimeSeries::default()
    };
    let metadata = MetricMetadata {
        metric_type: 1,
        family: "seen_total".into(),
        help: "How often.".into(),
        unit: "s".into(),
    };
    server.remote().write_ok(&WriteRequest { timeseries: vec![series], ..WriteRequest::default() });
    server.remote().write_ok(&WriteRequest { metadata: vec![metadata], ..WriteRequest::default() });

    let query = Query::of(&server);
    let info: InfoResponse =
        query.call("/thanos.info.Info/Info", InfoRequest {}).expect("a valid request");
    let external: Vec<(&str, &str)> = info.label_sets[0]
        .labels
        .iter()
        .map(|label| (label.name.as_str(), label.value.as_str()))
        .collect();
    assert_eq!(
        (info.component_type.as_str(), external),
        ("receive", vec![("cluster", "golden"), ("replica", "r1")])
    );
    let store = info.store.expect("a store");
    assert_eq!((store.min_time, store.max_time), (now, i64::MAX));
    assert!(
        store.supports_sharding
            && store.supports_without_replica_labels
            && info.exemplars.is_some()
    );
    assert!(
        info.metric_metadata.is_some()
            && info.rules.is_none()
            && info.targets.is_none()
            && info.query.is_none()
    );

    let request = |text: &str| pb::ExemplarsRequest {
        query: text.into(),
        start: 0,
        end: i64::MAX,
        ..Default::default()
    };
    let exemplars: Vec<pb::ExemplarsResponse> = query
        .stream("/thanos.Exemplars/Exemplars", request("rate(seen_total{cluster=\"golden\"}[5m])"))
        .expect("a valid request");
    let Some(pb::exemplars_response::Result::Data(data)) = &exemplars[0].result else {
        panic!("{exemplars:?}")
    };
    assert_eq!(data.series_labels.as_ref().expect("labels").labels.len(), 4);
    let found = &data.exemplars[0];
    assert_eq!((exemplars.len(), data.exemplars.len(), found.value, found.ts), (1, 1, 0.25, now));
    let other: Vec<pb::ExemplarsResponse> = query
        .stream("/thanos.Exemplars/Exemplars", request("seen_total{cluster=\"other\"}"))
        .expect("a valid request");
    assert!(other.is_empty());

    let metadata_request =
        pb::MetricMetadataRequest { metric: String::new(), limit: -1, ..Default::default() };
    let metadata: Vec<pb::MetricMetadataResponse> =
        query.stream("/thanos.Metadata/MetricMetadata", metadata_request).expect("a valid request");
    let Some(pb::metric_metadata_response::Result::Metadata(found)) = &metadata[0].result else {
        panic!()
    };
    let meta = &found.metadata["seen_total"].metas[0];
    assert_eq!(
        (meta.r#type.as_str(), meta.help.as_str(), meta.unit.as_str()),
        ("counter", "How often.", "s")
    );
    drop(query);
    server.stop();
}

#[test]
fn invalid_request_is_rejected() {
    let temp_dir = dir::temp();
    let server = launch(&golden::unpack("wal-killed", temp_dir.path()), "r1").start();
    let query = Query::of(&server);
    let rejection = |request: pb::SeriesRequest| {
        query
            .stream::<_, pb::SeriesResponse>("/thanos.Store/Series", request)
            .expect_err("an invalid request")
            .code()
    };
    let matcher = |r#type, name: &str, value: &str| pb::LabelMatcher {
        r#type,
        name: name.into(),
        value: value.into(),
    };
    let with = |matchers| pb::SeriesRequest { matchers, ..all_series_request() };
    assert_eq!(rejection(with(Vec::new())), Code::InvalidArgument);
    assert_eq!(rejection(with(vec![matcher(0, "cluster", "golden")])), Code::InvalidArgument);
    assert_eq!(rejection(with(vec![matcher(2, "a", "(")])), Code::InvalidArgument);
    assert_eq!(rejection(with(vec![matcher(9, "a", "b")])), Code::InvalidArgument);
    assert_eq!(rejection(with(vec![matcher(0, "a", "b"); 1001])), Code::InvalidArgument);
    // A message of another type.
    let other_message = prometheus::Label { name: "a".into(), value: "b".into() };
    let status = query
        .stream::<_, pb::SeriesResponse>("/thanos.Store/Series", other_message)
        .expect_err("another message");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(query.series(all_series_request()).len() > 10, "a valid request succeeds");
    drop(query);
    server.stop();
}
