//! gRPC on the same port: health and `narthex.v1.Write`, with the same response contract as HTTP.
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

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::good::GoodWrites;
use crate::support::launch::{Launch, Server};
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::samples::Samples;
use crate::support::wait::wait_until;
use crate::support::wire::{Matcher, TimeSeries, WriteRequest};

/// Message `narthex.v1.WriteResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct WriteResponse {
    #[prost(uint64, tag = "1")]
    samples: u64,
}

/// Blocking gRPC client of one server.
struct Client {
    runtime: Runtime,
    channel: Channel,
}

impl Client {
    fn of(server: &Server) -> Client {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let endpoint = Endpoint::from_shared(server.http.url(""))
            .expect("an address")
            .timeout(Duration::from_secs(60));
        let channel =
            runtime.block_on(endpoint.connect()).expect("the server accepts a connection");
        Client { runtime, channel }
    }

    fn write(&self, request: WriteRequest) -> Result<u64, Status> {
        self.call("/narthex.v1.Write/WriteV1", request)
    }

    fn call(&self, method: &'static str, request: WriteRequest) -> Result<u64, Status> {
        let codec: ProstCodec<WriteRequest, WriteResponse> = ProstCodec::new();
        let mut client = Grpc::new(self.channel.clone()).max_encoding_message_size(usize::MAX);
        self.runtime.block_on(async {
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let response = client
                .unary(Request::new(request), PathAndQuery::from_static(method), codec)
                .await?;
            Ok(response.into_inner().samples)
        })
    }

    fn health(&self, service: &str) -> Result<ServingStatus, Status> {
        let mut client = HealthClient::new(self.channel.clone());
        let request = HealthCheckRequest { service: service.to_owned() };
        Ok(self.runtime.block_on(client.check(request))?.into_inner().status())
    }
}

fn start() -> (tempfile::TempDir, Server, Client) {
    let temp_dir = dir::temp();
    let server = Launch::narthex(&temp_dir.path().join("data"))
        .flag("--storage.remote.write-max-decoded-size=2MB")
        .flag("--storage.remote.write-max-body-size=1MB")
        .start();
    let client = Client::of(&server);
    (temp_dir, server, client)
}

#[test]
fn ready_server_is_serving() {
    let (_temp_dir, _server, client) = start();
    for service in ["", "narthex.v1.Write"] {
        wait_until("the status SERVING", || {
            client.health(service).expect("a response") == ServingStatus::Serving
        });
    }
    assert_eq!(
        client.health("narthex.v1.Nothing").expect_err("no such service").code(),
        Code::NotFound
    );
}

#[test]
fn samples_written_over_grpc_are_read_over_http() {
    let (_temp_dir, server, client) = start();
    let request = WriteRequest {
        timeseries: vec![
            TimeSeries::new(
                &[("__name__", "grpc"), ("n", "1")],
                &[(BEGIN, 1.0), (BEGIN + 1, f64::INFINITY)],
            ),
            TimeSeries::new(&[("n", "2"), ("__name__", "grpc")], &[(BEGIN, 2.0)]),
        ],
        ..WriteRequest::default()
    };
    assert_eq!(client.write(request.clone()).expect("a valid write"), 3);
    assert_eq!(client.write(request.clone()).expect("a valid retry"), 3);
    let mut expected = Samples::new();
    expected.add_request(&request);
    server.remote().read_all().assert_equals(&expected, "written over gRPC");
}

#[test]
fn invalid_requests_get_contract_codes_and_next_write_works() {
    let (_temp_dir, server, client) = start();
    let good = GoodWrites::default();
    let one = |labels: &[(&str, &str)], samples: &[(i64, f64)]| WriteRequest::one(labels, samples);
    client.write(one(&[("__name__", "checked")], &[(BEGIN, 1.0)])).expect("a valid write");
    let table = [
        (
            "a duplicate timestamp",
            one(&[("__name__", "checked")], &[(BEGIN, 2.0), (BEGIN + 1, 3.0)]),
            Code::InvalidArgument,
        ),
        ("no metric name", one(&[("a", "nameless")], &[(BEGIN, 1.0)]), Code::InvalidArgument),
        (
            "a duplicate label name",
            one(&[("__name__", "x"), ("a", "b"), ("a", "b")], &[(BEGIN, 1.0)]),
            Code::InvalidArgument,
        ),
        ("the far future", one(&[("__name__", "x")], &[(i64::MAX, 1.0)]), Code::InvalidArgument),
        (
            "over the limit",
            one(&[("__name__", "x"), ("a", &"y".repeat(3 << 20))], &[]),
            Code::ResourceExhausted,
        ),
    ];
    for (context, request, code) in table {
        let status = client.write(request).expect_err(context);
        assert_eq!(status.code(), code, "{context}: {status}");
        good.one_more(&server, context);
    }
    let unknown =
        client.call("/narthex.v1.Write/Nothing", one(&[], &[])).expect_err("no such method");
    assert_eq!(unknown.code(), Code::Unimplemented, "{unknown}");

    let returned =
        server.remote().read(&[Matcher::equal("__name__", "checked")], MIN_TIME, MAX_TIME);
    let mut expected = Samples::new();
    expected.add_request(&one(&[("__name__", "checked")], &[(BEGIN, 1.0), (BEGIN + 1, 3.0)]));
    returned.assert_equals(&expected, "the valid part of a rejected request");
}
