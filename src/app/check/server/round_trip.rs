//! Whether a sample can be written and read: remote write 1.0 of a new series, then remote read of
//! it.

use crate::app::check::server::client::{ServerClient, describe_error_response};
use crate::app::check::server::error::CheckServerError;
use crate::app::check::server::result::CheckResult;
use crate::config::flags::check::RoundTripFlags;
use crate::remote::pb::prometheus::label_matcher::Type;
use crate::remote::pb::prometheus::{
    Label, LabelMatcher, Query, ReadRequest, ReadResponse, Sample, TimeSeries, WriteRequest,
};
use crate::tsdb::db::clock::now_ms;
use http::StatusCode;
use prost::Message;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Name of the written metric.
const METRIC: &str = "narthex_round_trip";
/// Label with a value that no other check has.
const RUN: &str = "run";
/// Value of the sample.
const VALUE: f64 = 42.125;
/// Delay before a request is sent again that the server could not handle.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// Maximum size of the response to a read, bytes.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Headers of remote write 1.0 and of remote read.
const HEADERS: [(&str, &str); 4] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
    ("x-prometheus-remote-read-version", "0.1.0"),
];

/// Writes a sample and reads it back.
pub(super) async fn run(flags: &RoundTripFlags) -> Result<CheckResult, CheckServerError> {
    let deadline = Instant::now() + flags.timeout;
    let client = ServerClient::new(&flags.url, &flags.access, deadline)?;
    let time = now_ms();
    let run = format!("{time}-{}", std::process::id());
    if let Err(reason) = send(&client, "/api/v1/write", &write_request(&run, time)).await? {
        return Ok(CheckResult::Failed(format!("cannot write a sample: {reason}")));
    }
    let body = match send(&client, "/api/v1/read", &read_request(&run, time)).await? {
        Ok(body) => body,
        Err(reason) => {
            return Ok(CheckResult::Failed(format!("cannot read the sample: {reason}")));
        }
    };
    Ok(match found(&body) {
        Some(samples) if samples == [(time, VALUE)] => {
            CheckResult::Passed("the written sample was read".to_owned())
        }
        Some(samples) => {
            CheckResult::Failed(format!("wrote {:?}, read {samples:?}", (time, VALUE)))
        }
        None => CheckResult::Failed("the response to the read cannot be decoded".to_owned()),
    })
}

/// Sends a message. Returns the body of the response, or the reason of a failure. The message is
/// sent again until the deadline while the server is unavailable.
async fn send(
    client: &ServerClient,
    path: &str,
    message: &impl Message,
) -> Result<Result<Vec<u8>, String>, CheckServerError> {
    let Ok(body) = snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()) else {
        return Ok(Err("the message cannot be compressed".to_owned()));
    };
    loop {
        let response = client.post(path, &HEADERS, body.clone()).await?;
        if response.status.is_success() {
            return Ok(Ok(response.body.read_to_end(MAX_RESPONSE_BYTES).await?.to_vec()));
        }
        let is_unavailable = response.status == StatusCode::SERVICE_UNAVAILABLE;
        let reason = describe_error_response(response).await;
        if !is_unavailable || Instant::now() + RETRY_DELAY >= client.deadline() {
            return Ok(Err(reason));
        }
        sleep(RETRY_DELAY).await;
    }
}

fn write_request(run: &str, time: i64) -> WriteRequest {
    let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
    let series = TimeSeries {
        labels: vec![label("__name__", METRIC), label(RUN, run)],
        samples: vec![Sample { value: VALUE, timestamp: time }],
        ..TimeSeries::default()
    };
    WriteRequest { timeseries: vec![series], ..WriteRequest::default() }
}

fn read_request(run: &str, time: i64) -> ReadRequest {
    let equal = |name: &str, value: &str| LabelMatcher {
        r#type: Type::Eq.into(),
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let query = Query {
        start_timestamp_ms: time,
        end_timestamp_ms: time,
        matchers: vec![equal("__name__", METRIC), equal(RUN, run)],
        hints: None,
    };
    ReadRequest { queries: vec![query], accepted_response_types: Vec::new() }
}

/// Returns times and values of a response; `None` if it cannot be decoded.
fn found(body: &[u8]) -> Option<Vec<(i64, f64)>> {
    let message = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    let response = ReadResponse::decode(message.as_slice()).ok()?;
    let series = response.results.into_iter().flat_map(|result| result.timeseries);
    let samples = series.flat_map(|series| series.samples);
    Some(samples.map(|sample| (sample.timestamp, sample.value)).collect())
}
