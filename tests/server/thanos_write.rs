//! `thanos.WriteableStore` as a Thanos Receive router uses it: series of tenants, stored with the
//! tenant label, and the status codes that decide whether the sender retries.
//! `tests/thanos/test_router.py` does the same with a real router.
//!
//! The client is that of tonic with messages declared by hand, without generated code of narthex.

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

/// Message `thanos.WriteRequest`.
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

/// Message `thanos.TimeSeriesTenantTuple`.
#[derive(Clone, PartialEq, prost::Message)]
struct Tenant {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(string, tag = "2")]
    tenant: String,
}

/// Message `thanos.WriteResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct WriteResponse {}

impl WriteRequest {
    /// Returns a request as current routers send it.
    fn of(tenants: &[(&str, &[TimeSeries])]) -> WriteRequest {
        let tenants = tenants.iter().map(|(tenant, timeseries)| Tenant {
            timeseries: timeseries.to_vec(),
            tenant: (*tenant).to_owned(),
        });
        WriteRequest { tenants: tenants.collect(), replica: 1, ..WriteRequest::default() }
    }

    /// Returns a request as older routers sent it.
    fn plain(tenant: &str, timeseries: &[TimeSeries]) -> WriteRequest {
        let (tenant, timeseries) = (tenant.to_owned(), timeseries.to_vec());
        WriteRequest { timeseries, tenant, replica: 1, ..WriteRequest::default() }
    }

    /// Adds all samples of the request, with their tenant label.
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

/// Client connection of a router.
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

    fn assert_rejected(&self, context: &str, request: &WriteRequest) -> String {
        let status = self.forward(request).expect_err(context);
        assert_eq!(status.code(), Code::AlreadyExists, "{context}: {status}");
        status.message().to_owned()
    }
}

#[test]
fn series_of_all_tenants_survive_kill() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let server = Launch::narthex(&data).start();
    let router = Router::of(&server);
    let mut expected = Samples::new();
    for (number, plain) in assorted(HOUR).to_requests(600_000).iter().enumerate() {
        let series = &plain.timeseries;
        let request = match number % 3 {
            0 => WriteRequest::of(&[("blue", series), ("green", series)]),
            1 => WriteRequest::plain("blue", series),
            // No router sends both forms, but nothing may be lost.
            _ => WriteRequest {
                tenants: WriteRequest::of(&[("green", series)]).tenants,
                ..WriteRequest::plain("red", series)
            },
        };
        router.forward(&request).expect("a valid write");
        // The retry of a router whose response was lost.
        router.forward(&request).expect("a valid retry");
        request.add_to(&mut expected);
    }
    assert!(expected.count() > 1000, "{}", expected.count());
    export_all(&server.http).assert_equals(&expected, "forwarded");
    server.kill();
    let server = Launch::narthex(&data).start();
    export_all(&server.http).assert_equals(&expected, "forwarded, after a kill");
    server.stop();
}

#[test]
fn rejection_is_permanent_and_valid_series_are_stored() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    let router = Router::of(&server);
    let one = |labels: &[(&str, &str)], t: i64, v: f64| TimeSeries::new(labels, &[(t, v)]);
    let first = WriteRequest::of(&[("a", &[one(&[("__name__", "checked")], BEGIN, 1.0)])]);
    router.forward(&first).expect("a valid write");
    let mut expected = Samples::new();
    first.add_to(&mut expected);
    let table = [
        (
            "a duplicate timestamp",
            one(&[("__name__", "checked")], BEGIN, 2.0),
            "1 duplicate timestamp",
        ),
        ("no metric name", one(&[("a", "nameless")], BEGIN, 1.0), "1 invalid labels"),
        (
            "a duplicate label name",
            one(&[("__name__", "x"), ("a", "b"), ("a", "b")], BEGIN, 1.0),
            "1 invalid labels",
        ),
        ("the far future", one(&[("__name__", "x")], i64::MAX, 1.0), "1 too far in the future"),
        ("too old", one(&[("__name__", "checked")], BEGIN - 30 * HOUR, 1.0), "1 "),
    ];
    for (number, (context, invalid, text)) in table.into_iter().enumerate() {
        let valid = [one(&[("__name__", "valid"), ("n", &number.to_string())], BEGIN, 1.0)];
        let message =
            router.assert_rejected(context, &WriteRequest::of(&[("a", &[invalid]), ("b", &valid)]));
        assert!(
            message.starts_with("stored 1 samples; rejected: ") && message.contains(text),
            "{context}: {message}"
        );
        WriteRequest::of(&[("b", &valid)]).add_to(&mut expected);
    }
    export_all(&server.http).assert_equals(&expected, "the valid series");
    drop(router);
    server.stop();
}

#[test]
fn messages_over_limit_are_rejected_permanently() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data"))
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
    router.forward(&large).expect("8 MB are accepted");
    router.assert_rejected("10 MB", &WriteRequest::of(&[("a", &series(1250))]));
    router.forward(&large).expect("8 MB are accepted again");
    let mut expected = Samples::new();
    large.add_to(&mut expected);
    export_all(&server.http).assert_equals(&expected, "large");
    drop(router);
    server.stop();
}

#[test]
fn service_has_its_own_health() {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data")).start();
    let router = Router::of(&server);
    let mut client = HealthClient::new(router.channel.clone());
    wait_until("the status SERVING", || {
        let request = HealthCheckRequest { service: "thanos.WriteableStore".to_owned() };
        let response = router.runtime.block_on(client.check(request)).expect("a response");
        response.into_inner().status() == ServingStatus::Serving
    });
    drop(client);
    drop(router);
    server.stop();
}
