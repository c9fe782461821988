//! The remote protocols: wire messages on one side, appender and querier on the other.
//!
//! No HTTP and no gRPC: the edge hands over bytes and gets back what became of them.
//!
//! | file        | what                                                             |
//! |-------------|------------------------------------------------------------------|
//! | [`mod@write`] | stores a write request                                           |
//! | `storing`   | puts the parts of a write request into the appender              |
//! | [`request_series`] | one series of a request of any protocol: the seam to its readers |
//! | [`bad_refs`] | why references of a 2.0 request are refused                     |
//! | [`limits`]  | how much a write request may have                                |
//! | [`reader`]  | finds series and samples in a write request, in place            |
//! | [`series`]  | one series of a write request, in place                          |
//! | [`v2`]      | the same of remote write 2.0                                     |
//! | `label`     | one label, in place                                              |
//! | [`histogram`] | one native histogram of a write request, as a value            |
//! | [`exemplar`] | one exemplar of a write request, as a value                     |
//! | [`metadata`] | the metadata of a write request, in place                       |
//! | [`outcome`] | what became of a write request                                   |
//! | [`reason`]  | why something of it was not stored                               |
//! | [`refusal`] | what was not stored and why                                      |
//! | [`read_request`] | a read request and what it asks for                         |
//! | [`external_labels`] | what is added to each series that is read     |
//! | [`read`]    | answers a read request with samples and histograms               |
//! | [`chunked`] | answers a read request with chunks, message by message           |
//! | `histogram_encoder` | histograms as messages                                   |
//! | [`answer_writer`] | where samples go: pieces                                   |
//! | [`packing`] | how a body is packed                                             |
//! | [`mod@unpack`] | undoes that, within bounds                                    |
//! | [`packed`]  | a snappy block that is written piece by piece                    |
//! | [`plain`]   | a message that is written piece by piece                         |
//! | [`thanos`]  | what a Thanos Receive router forwards                            |
//! | [`pb`]      | the messages as prost has them: the schema, and the cold paths   |
//! | [`stream_request`] | one message of a write stream, in place                  |
//! | [`clock_skew`] | how far samples are ahead of the server clock                 |
//! | [`metrics`] | what is counted                                                  |

pub mod answer_writer;
pub mod bad_refs;
pub mod chunked;
pub mod clock_skew;
pub mod exemplar;
pub mod external_labels;
pub mod histogram;
mod histogram_encoder;
#[cfg(test)]
mod known_data;
mod label;
pub mod limits;
pub mod metadata;
pub mod metrics;
pub mod outcome;
pub mod packed;
pub mod packing;
pub mod pb;
pub mod plain;
pub mod protobuf;
pub mod read;
pub mod read_request;
pub mod reader;
pub mod reason;
pub mod refusal;
pub mod request_series;
mod schema;
pub mod series;
mod storing;
pub mod stream_request;
pub mod thanos;
pub mod unpack;
pub mod v2;
pub mod write;
