//! Remote write, remote read and the Thanos store protocol, from message bytes to the database.
//!
//! The code here knows neither HTTP nor gRPC: the server passes bytes and receives outcomes.
//!
//! | module | content |
//! |---|---|
//! | [`mod@write`] | storage of a write request |
//! | [`symbol_ref_error`] | errors of symbol references in a 2.0 request |
//! | [`limits`] | limits of a write request |
//! | [`request_index_v1`] | index of a 1.0 request, decoded in place |
//! | [`series_v1`] | series of a 1.0 request, decoded in place |
//! | [`v2`] | remote write 2.0 |
//! | `label` | decoder of a label |
//! | [`histogram`] | decoder of a native histogram |
//! | [`exemplar`] | decoder of an exemplar |
//! | [`metadata`] | metadata of a 1.0 request, decoded in place |
//! | [`protobuf`] | cursor over protobuf messages |
//! | `schema` | validation of messages by their known fields |
//! | [`read_request`] | decoder and limits of a read request |
//! | [`external_labels`] | labels added to every series that is read |
//! | [`read`] | read responses with samples and histograms |
//! | [`chunked`] | streamed read responses with chunks |
//! | `histogram_encoder` | encoder of native histograms |
//! | [`response_writer`] | trait for response output in pieces |
//! | [`body_compression`] | compression formats of bodies and messages |
//! | [`mod@decompress`] | decompression within limits |
//! | [`snappy_writer`] | snappy block, written in pieces |
//! | [`plain_writer`] | uncompressed message, written in pieces |
//! | [`thanos`] | Thanos Receive requests and the Thanos store protocol |
//! | [`pb`] | generated messages |
//! | [`stream_request`] | message of a gRPC write stream, decoded in place |
//! | [`metrics`] | metrics of writes and reads |

pub mod body_compression;
pub mod chunked;
pub mod decompress;
pub mod exemplar;
pub mod external_labels;
pub mod histogram;
mod histogram_encoder;
mod label;
pub mod limits;
pub mod metadata;
pub mod metrics;
pub mod pb;
pub mod plain_writer;
pub mod protobuf;
pub mod read;
pub mod read_request;
pub mod request_index_v1;
pub mod response_writer;
mod schema;
pub mod series_v1;
pub mod snappy_writer;
pub mod stream_request;
pub mod symbol_ref_error;
pub mod thanos;
pub mod v2;
pub mod write;
