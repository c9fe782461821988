//! `thanos.WriteableStore` as a Thanos Receive router uses it: series of tenants in, their labels
//! on disk, and codes by which it decides whether its sender repeats. `tests/thanos/receive` does
//! the same with a real router.
//!
//! The client is tonic's with messages written by hand; none of narthex's generated code is used.

use std::time::Duration;

use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;

use crate::support::data::{BEGIN, HOUR, assorted};
use crate::support::dir;
use crate::support::export::export_all;
use crate::support::launch::{Launch, Server};
use crate::support::samples::Samples;
use crate::support::wait::wait_until;
use crate::support::wire::{Label, TimeSeries};

/// `thanos.WriteRequest`
#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(string, tag = "2")]
    tenant: String,
    #[prost(int64, tag = "3")]
    replica: i64,
    #[prost(message, repeated, tag = "4")]
    tenants: Vec<Tenant>,
}

/// `thanos.TimeSeriesTenantTuple`
#[derive(Clone, PartialEq, prost::Message)]
struct Tenant {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(string, tag = "2")]
    tenant: String,
}

/// `thanos.WriteResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct WriteResponse {}

impl WriteRequest {
    /// As routers of today write it.
    fn of(tenants: &[(&str, &[TimeSeries])]) -> WriteRequest {
        let tenants = tenants.iter().map(|(tenant, timeseries)| Tenant {
            timeseries: timeseries.to_vec(),
            tenant: (*tenant).to_owned(),
        });
        WriteRequest { tenants: tenants.collect(), replica: 1, ..WriteRequest::default() }
    }

    /// As older ones did.
    fn plain(tenant: &str, timeseries: &[TimeSeries]) -> WriteRequest {
        let (tenant, timeseries) = (tenant.to_owned(), timeseries.to_vec());
        WriteRequest { timeseries, tenant, replica: 1, ..WriteRequest::default() }
    }

    /// What must be stored of it when all of it is good.
    fn add_to(&self, expected: &mut Samples) {
        let own = Tenant { timeseries: self.timeseries.clone(), tenant: self.tenant.clone() };
        for tenant in self.tenants.iter().chain([&own]) {
            let mut request = crate::support::wire::WriteRequest::default();
            for series in &tenant.timeseries {
                let mut series = series.clone();
                series
                    .labels
                    .push(Label { name: "tenant_id".to_owned(), value: tenant.tenant.clone() });
                request.timeseries.push(series);
            }
            expected.add_request(&request);
        }
    }
}

/// A router's side of one connection.
struct Router {
    runtime: Runtime,
    channel: Channel,
}

impl Router {
    fn of(server: &Server) -> Router {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let endpoint = Endpoint::from_shared(server.http.url(""))
            .expect("an address")
            .timeout(Duration::from_secs(60));
        let channel =
            runtime.block_on(endpoint.connect()).expect("the server accepts a connection");
        Router { runtime, channel }
    }

    fn forward(&self, request: &WriteRequest) -> Result<(), Status> {
        let codec: ProstCodec<WriteRequest, WriteResponse> = ProstCodec::new();
        let method = PathAndQuery::from_static("/thanos.WriteableStore/RemoteWrite");
        let mut client = Grpc::new(self.channel.clone()).max_encoding_message_size(usize::MAX);
        self.runtime.block_on(async {
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            client.unary(Request::new(request.clone()), method, codec).await.map(|_| ())
        })
    }

    fn assert_refused(&self, what: &str, request: &WriteRequest) -> String {
        let status = self.forward(request).expect_err(what);
        assert_eq!(status.code(), Code::AlreadyExists, "{what}: {status}");
        status.message().to_owned()
    }
}

#[test]
fn series_of_all_tenants_are_there_after_a_kill() {
    let place = dir::temp();
    let data = place.path().join("data");
    let server = Launch::narthex(&data).start();
    let router = Router::of(&server);
    let mut expected = Samples::new();
    for (number, one) in assorted(HOUR).to_requests(600_000).iter().enumerate() {
        let series = &one.timeseries;
        let request = match number % 3 {
            0 => WriteRequest::of(&[("blue", series), ("green", series)]),
            1 => WriteRequest::plain("blue", series),
            // No router does that, but nothing of it may be lost.
            _ => WriteRequest {
                tenants: WriteRequest::of(&[("green", series)]).tenants,
                ..WriteRequest::plain("red", series)
            },
        };
        router.forward(&request).expect("all of it is good");
        // Its answer was lost on the way, so it comes again.
        router.forward(&request).expect("a repeat is stored");
        request.add_to(&mut expected);
    }
    assert!(expected.count() > 1000, "{}", expected.count());
    export_all(&server.http).assert_equals(&expected, "forwarded");
    server.kill();
    let server = Launch::narthex(&data).start();
    export_all(&server.http).assert_equals(&expected, "forwarded, after kill -9");
    server.stop();
}

#[test]
fn a_refusal_is_final_names_what_is_refused_and_keeps_the_rest() {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data")).start();
    let router = Router::of(&server);
    let one = |labels: &[(&str, &str)], t: i64, v: f64| TimeSeries::new(labels, &[(t, v)]);
    let judged = WriteRequest::of(&[("a", &[one(&[("__name__", "judged")], BEGIN, 1.0)])]);
    router.forward(&judged).expect("a good write");
    let mut expected = Samples::new();
    judged.add_to(&mut expected);
    let table = [
        ("a conflict", one(&[("__name__", "judged")], BEGIN, 2.0), "1 duplicate timestamp"),
        ("no metric name", one(&[("a", "nameless")], BEGIN, 1.0), "1 invalid labels"),
        (
            "a name twice",
            one(&[("__name__", "x"), ("a", "b"), ("a", "b")], BEGIN, 1.0),
            "1 invalid labels",
        ),
        ("the far future", one(&[("__name__", "x")], i64::MAX, 1.0), "1 too far in the future"),
        ("too old", one(&[("__name__", "judged")], BEGIN - 30 * HOUR, 1.0), "1 "),
    ];
    for (number, (what, bad, text)) in table.into_iter().enumerate() {
        let good = [one(&[("__name__", "beside"), ("n", &number.to_string())], BEGIN, 1.0)];
        let message =
            router.assert_refused(what, &WriteRequest::of(&[("a", &[bad]), ("b", &good)]));
        assert!(
            message.starts_with("stored 1 samples; rejected: ") && message.contains(text),
            "{what}: {message}"
        );
        WriteRequest::of(&[("b", &good)]).add_to(&mut expected);
    }
    export_all(&server.http).assert_equals(&expected, "what was good");
    drop(router);
    server.stop();
}

#[test]
fn messages_over_limit_are_rejected_permanently() {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data"))
        .flag("--storage.remote.write-max-decoded-size=9MB")
        .start();
    let router = Router::of(&server);
    let series = |count: usize| -> Vec<TimeSeries> {
        let text = "x".repeat(8000);
        let labels = |i: usize| {
            [("__name__", "large".to_owned()), ("i", i.to_string()), ("text", text.clone())]
        };
        (0..count)
            .map(|i| {
                let labels = labels(i);
                let labels: Vec<_> =
                    labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
                TimeSeries::new(&labels, &[(BEGIN, 1.0)])
            })
            .collect()
    };
    let large = WriteRequest::of(&[("a", &series(1000))]);
    router.forward(&large).expect("8 MB are taken");
    router.assert_refused("10 MB", &WriteRequest::of(&[("a", &series(1250))]));
    router.forward(&large).expect("and so they are again");
    let mut expected = Samples::new();
    large.add_to(&mut expected);
    export_all(&server.http).assert_equals(&expected, "large");
    drop(router);
    server.stop();
}

#[test]
fn the_service_has_a_health_of_its_own() {
    let place = dir::temp();
    let server = Launch::narthex(&place.path().join("data")).start();
    let router = Router::of(&server);
    let mut client = HealthClient::new(router.channel.clone());
    wait_until("the service to be serving", || {
        let request = HealthCheckRequest { service: "thanos.WriteableStore".to_owned() };
        let answer = router.runtime.block_on(client.check(request)).expect("an answer");
        answer.into_inner().status() == ServingStatus::Serving
    });
    drop(client);
    drop(router);
    server.stop();
}
