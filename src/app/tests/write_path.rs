//! Test helper: sends the same write over every protocol and maps the response to HTTP status
//! codes.

use crate::app::tests::edge::{TestResponse, TestServer, grpc_request, snappy_block};
use crate::remote::pb::io::prometheus::write::v2;
use crate::remote::pb::narthex::v1::{WriteResponse, WriteStreamResponse};
use crate::remote::pb::prometheus as pb;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

/// Protocol and message version of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WritePath {
    Http1,
    Http2,
    GrpcV1,
    GrpcV2,
    StreamV1,
    StreamV2,
}

/// Result of a write, independent of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteResult {
    /// HTTP status, or the equivalent of the gRPC status.
    pub(crate) status: u16,
    /// Error message; empty on success.
    pub(crate) text: String,
    /// Stored samples, histograms and exemplars, if the response has the counts.
    pub(crate) stored: Option<[u64; 3]>,
}

impl WritePath {
    pub(crate) const ALL: [Self; 6] =
        [Self::Http1, Self::Http2, Self::GrpcV1, Self::GrpcV2, Self::StreamV1, Self::StreamV2];

    /// Returns `true` for remote write 2.0.
    pub(crate) fn is_v2(self) -> bool {
        matches!(self, Self::Http2 | Self::GrpcV2 | Self::StreamV2)
    }

    /// Encodes the series as a request.
    pub(crate) fn message(self, series: &[pb::TimeSeries]) -> Vec<u8> {
        if self.is_v2() {
            in_v2(series).encode_to_vec()
        } else {
            pb::WriteRequest { timeseries: series.to_vec(), metadata: Vec::new() }.encode_to_vec()
        }
    }

    pub(crate) async fn write(self, server: &TestServer, series: &[pb::TimeSeries]) -> WriteResult {
        self.write_bytes(server, &self.message(series)).await
    }

    /// Sends bytes as a request.
    pub(crate) async fn write_bytes(self, server: &TestServer, message: &[u8]) -> WriteResult {
        match self {
            Self::Http1 => over_http(server, "application/x-protobuf", message).await,
            Self::Http2 => {
                over_http(
                    server,
                    "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                    message,
                )
                .await
            }
            Self::GrpcV1 => unary(server.grpc("/narthex.v1.Write/WriteV1", message).await),
            Self::GrpcV2 => unary(server.grpc("/narthex.v1.Write/WriteV2", message).await),
            Self::StreamV1 | Self::StreamV2 => {
                streamed(server, if self.is_v2() { 3 } else { 2 }, message).await
            }
        }
    }
}

async fn over_http(server: &TestServer, content_type: &str, message: &[u8]) -> WriteResult {
    let response = server.write_as(content_type, "snappy", snappy_block(message)).await;
    let counts = ["samples", "histograms", "exemplars"];
    let counts = counts.map(|kind| {
        response.header(&format!("x-prometheus-remote-write-{kind}-written")).parse().ok()
    });
    let stored = if let [Some(a), Some(b), Some(c)] = counts { Some([a, b, c]) } else { None };
    if response.status.as_u16() == 503 {
        response.assert_retry_later();
    }
    WriteResult { status: response.status.as_u16(), text: response.text().to_owned(), stored }
}

fn unary(response: TestResponse) -> WriteResult {
    let code = response.grpc_status().parse().unwrap();
    if code == 14 {
        response.assert_grpc_retry_later();
    }
    let stored =
        (code == 0).then(|| written_counts(WriteResponse::decode(&response.body[5..]).unwrap()));
    WriteResult { status: as_http(code), text: status_message(&response), stored }
}

/// Opens a stream with one request. The result is its ack or, without one, the end of the stream.
async fn streamed(server: &TestServer, field: u32, request: &[u8]) -> WriteResult {
    let mut message = vec![8, 1];
    encode_key(field, WireType::LengthDelimited, &mut message);
    encode_varint(request.len() as u64, &mut message);
    message.extend(request);
    let response = server.send(grpc_request("/narthex.v1.Write/WriteStream", &message)).await;
    let code = response.grpc_status().parse().unwrap();
    if code == 14 {
        response.assert_grpc_retry_later();
    }
    if response.body.is_empty() {
        return WriteResult {
            status: as_http(code),
            text: status_message(&response),
            stored: None,
        };
    }
    assert_eq!(code, 0, "a stream must continue after an ack");
    let ack = WriteStreamResponse::decode(&response.body[5..]).unwrap();
    assert_eq!(ack.sequence, 1);
    let (status, text) = ack
        .rejection
        .map_or((204, String::new()), |rejection| (as_http(rejection.code), rejection.message));
    WriteResult { status, text, stored: ack.stored.map(written_counts) }
}

fn written_counts(response: WriteResponse) -> [u64; 3] {
    [response.samples, response.histograms, response.exemplars]
}

/// Returns the message of the gRPC status.
fn status_message(response: &TestResponse) -> String {
    let headers = if response.trailers.contains_key("grpc-status") {
        &response.trailers
    } else {
        &response.headers
    };
    tonic::Status::from_header_map(headers).unwrap().message().to_owned()
}

fn as_http(code: u32) -> u16 {
    match code {
        0 => 204,
        3 => 400,
        8 => 413,
        12 => 415,
        13 => 500,
        14 => 503,
        other => panic!("unexpected status code {other}"),
    }
}

/// Converts series to a request of remote write 2.0.
fn in_v2(series: &[pb::TimeSeries]) -> v2::Request {
    let mut symbols = vec![String::new()];
    let mut refer = |labels: &[pb::Label]| -> Vec<u32> {
        let strings = labels.iter().flat_map(|label| [&label.name, &label.value]);
        let symbol_ref = |text: &String| match symbols.iter().position(|symbol| symbol == text) {
            Some(symbol_ref) => symbol_ref as u32,
            None => {
                symbols.push(text.clone());
                symbols.len() as u32 - 1
            }
        };
        strings.map(symbol_ref).collect()
    };
    let timeseries = series
        .iter()
        .map(|series| v2::TimeSeries {
            labels_refs: refer(&series.labels),
            samples: series
                .samples
                .iter()
                .map(|sample| v2::Sample {
                    value: sample.value,
                    timestamp: sample.timestamp,
                    start_timestamp: 0,
                })
                .collect(),
            // Histograms have the same field numbers in 1.0 and 2.0.
            histograms: series
                .histograms
                .iter()
                .map(|histogram| v2::Histogram::decode(&histogram.encode_to_vec()[..]).unwrap())
                .collect(),
            exemplars: series
                .exemplars
                .iter()
                .map(|exemplar| v2::Exemplar {
                    labels_refs: refer(&exemplar.labels),
                    value: exemplar.value,
                    timestamp: exemplar.timestamp,
                })
                .collect(),
            metadata: None,
        })
        .collect();
    v2::Request { symbols, timeseries }
}
