//! The remote protocols: wire messages on one side, appender and querier on the other.
//!
//! No HTTP and no gRPC: the edge hands over bytes and gets back what became of them.
//!
//! | file        | what                                                             |
//! |-------------|------------------------------------------------------------------|
//! | [`mod@write`] | stores a write request                                           |
//! | `ingester`   | puts the parts of a write request into the appender              |
//! | [`request_series`] | one series of a request of any protocol: the seam to its readers |
//! | [`symbol_ref_error`] | why references of a 2.0 request are refused                     |
//! | [`limits`]  | how much a write request may have                                |
//! | [`request_index_v1`]  | finds series and samples in a write request, in place            |
//! | [`series_v1`]  | one series of a write request, in place                          |
//! | [`v2`]      | the same of remote write 2.0                                     |
//! | `label`     | one label, in place                                              |
//! | [`histogram`] | one native histogram of a write request, as a value            |
//! | [`exemplar`] | one exemplar of a write request, as a value                     |
//! | [`metadata`] | the metadata of a write request, in place                       |
//! | [`write_outcome`] | what became of a write request                                   |
//! | [`reject_reason`]  | why something of it was not stored                               |
//! | [`rejections`] | what was not stored and why                                      |
//! | [`read_request`] | a read request and what it asks for                         |
//! | [`external_labels`] | what is added to each series that is read     |
//! | [`read`]    | answers a read request with samples and histograms               |
//! | [`chunked`] | answers a read request with chunks, message by message           |
//! | `histogram_encoder` | histograms as messages                                   |
//! | [`response_writer`] | where samples go: pieces                                   |
//! | [`body_compression`] | how a body is packed                                             |
//! | [`mod@decompress`] | undoes that, within bounds                                    |
//! | [`snappy_writer`]  | a snappy block that is written piece by piece                    |
//! | [`plain_writer`]   | a message that is written piece by piece                         |
//! | [`thanos`]  | what a Thanos Receive router forwards                            |
//! | [`pb`]      | the messages as prost has them: the schema, and the cold paths   |
//! | [`stream_request`] | one message of a write stream, in place                  |
//! | [`clock_skew`] | how far samples are ahead of the server clock                 |
//! | [`metrics`] | what is counted                                                  |

pub mod body_compression;
pub mod chunked;
pub mod clock_skew;
pub mod decompress;
pub mod exemplar;
pub mod external_labels;
pub mod histogram;
mod histogram_encoder;
mod ingester;
#[cfg(test)]
mod known_data;
mod label;
pub mod limits;
pub mod metadata;
pub mod metrics;
pub mod pb;
pub mod plain_writer;
pub mod protobuf;
pub mod read;
pub mod read_request;
pub mod reject_reason;
pub mod rejections;
pub mod request_index_v1;
pub mod request_series;
pub mod response_writer;
mod schema;
pub mod series_v1;
pub mod snappy_writer;
pub mod stream_request;
pub mod symbol_ref_error;
pub mod thanos;
pub mod v2;
pub mod write;
pub mod write_outcome;
