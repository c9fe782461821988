//! For tests: the same request over every way in, its answer told in the terms of HTTP.

use crate::app::edge::{TestResponse, TestServer, grpc_request, snappy_block};
use crate::remote::pb::io::prometheus::write::v2;
use crate::remote::pb::narthex::v1::{WriteResponse, WriteStreamResponse};
use crate::remote::pb::prometheus as pb;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WritePath {
    Http1,
    Http2,
    GrpcV1,
    GrpcV2,
    StreamV1,
    StreamV2,
}

/// What a write was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteResult {
    /// The status over HTTP, or the one that means the same.
    pub(crate) status: u16,
    /// What is said of it.
    pub(crate) text: String,
    /// Samples, histograms, exemplars, where the answer has them.
    pub(crate) stored: Option<[u64; 3]>,
}

impl WritePath {
    pub(crate) const ALL: [Self; 6] =
        [Self::Http1, Self::Http2, Self::GrpcV1, Self::GrpcV2, Self::StreamV1, Self::StreamV2];

    /// Whether requests are of remote write 2.0.
    pub(crate) fn is_v2(self) -> bool {
        matches!(self, Self::Http2 | Self::GrpcV2 | Self::StreamV2)
    }

    /// The message with these series.
    pub(crate) fn message(self, series: &[pb::TimeSeries]) -> Vec<u8> {
        if self.is_v2() {
            in_v2(series).encode_to_vec()
        } else {
            pb::WriteRequest { timeseries: series.to_vec(), metadata: Vec::new() }.encode_to_vec()
        }
    }

    pub(crate) async fn write(self, edge: &TestServer, series: &[pb::TimeSeries]) -> WriteResult {
        self.write_bytes(edge, &self.message(series)).await
    }

    /// Sends bytes as a message.
    pub(crate) async fn write_bytes(self, edge: &TestServer, message: &[u8]) -> WriteResult {
        match self {
            Self::Http1 => over_http(edge, "application/x-protobuf", message).await,
            Self::Http2 => {
                over_http(
                    edge,
                    "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                    message,
                )
                .await
            }
            Self::GrpcV1 => unary(edge.grpc("/narthex.v1.Write/WriteV1", message).await),
            Self::GrpcV2 => unary(edge.grpc("/narthex.v1.Write/WriteV2", message).await),
            Self::StreamV1 | Self::StreamV2 => {
                streamed(edge, if self.is_v2() { 3 } else { 2 }, message).await
            }
        }
    }
}

async fn over_http(edge: &TestServer, content_type: &str, message: &[u8]) -> WriteResult {
    let got = edge.write_as(content_type, "snappy", snappy_block(message)).await;
    let counts = ["samples", "histograms", "exemplars"];
    let counts = counts
        .map(|kind| got.header(&format!("x-prometheus-remote-write-{kind}-written")).parse().ok());
    let stored = if let [Some(a), Some(b), Some(c)] = counts { Some([a, b, c]) } else { None };
    if got.status.as_u16() == 503 {
        got.assert_retry_later();
    }
    WriteResult { status: got.status.as_u16(), text: got.text().to_owned(), stored }
}

fn unary(got: TestResponse) -> WriteResult {
    let code = got.grpc_status().parse().unwrap();
    if code == 14 {
        got.assert_grpc_retry_later();
    }
    let stored =
        (code == 0).then(|| written_counts(WriteResponse::decode(&got.body[5..]).unwrap()));
    WriteResult { status: as_http(code), text: status_message(&got), stored }
}

/// A stream with one request; its ack is the answer, or where there is none the end of the stream.
async fn streamed(edge: &TestServer, field: u32, request: &[u8]) -> WriteResult {
    let mut message = vec![8, 1];
    encode_key(field, WireType::LengthDelimited, &mut message);
    encode_varint(request.len() as u64, &mut message);
    message.extend(request);
    let got = edge.send(grpc_request("/narthex.v1.Write/WriteStream", &message)).await;
    let code = got.grpc_status().parse().unwrap();
    if code == 14 {
        got.assert_grpc_retry_later();
    }
    if got.body.is_empty() {
        return WriteResult { status: as_http(code), text: status_message(&got), stored: None };
    }
    assert_eq!(code, 0, "a stream with an ack goes on");
    let ack = WriteStreamResponse::decode(&got.body[5..]).unwrap();
    assert_eq!(ack.sequence, 1);
    let (status, text) = ack
        .refused
        .map_or((204, String::new()), |refused| (as_http(refused.code), refused.message));
    WriteResult { status, text, stored: ack.stored.map(written_counts) }
}

fn written_counts(response: WriteResponse) -> [u64; 3] {
    [response.samples, response.histograms, response.exemplars]
}

/// The message of a status.
fn status_message(got: &TestResponse) -> String {
    let headers =
        if got.trailers.contains_key("grpc-status") { &got.trailers } else { &got.headers };
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
        other => panic!("code {other} is none of the contract's"),
    }
}

/// The same series as a request of remote write 2.0.
fn in_v2(series: &[pb::TimeSeries]) -> v2::Request {
    let mut symbols = vec![String::new()];
    let mut refer = |labels: &[pb::Label]| -> Vec<u32> {
        let texts = labels.iter().flat_map(|label| [&label.name, &label.value]);
        let place = |text: &String| match symbols.iter().position(|symbol| symbol == text) {
            Some(place) => place as u32,
            None => {
                symbols.push(text.clone());
                symbols.len() as u32 - 1
            }
        };
        texts.map(place).collect()
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
            // The fields of 1.0 have the same numbers in 2.0.
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
