//! The remote protocols: wire messages on one side, appender and querier on the other.
//!
//! No HTTP and no gRPC: the edge hands over bytes and gets back what became of them.
//!
//! | file        | what                                                             |
//! |-------------|------------------------------------------------------------------|
//! | [`mod@write`] | stores a write request                                           |
//! | `storing`   | puts the parts of a write request into the appender              |
//! | [`limits`]  | how much a write request may have                                |
//! | [`reader`]  | finds series and samples in a write request, in place            |
//! | [`series`]  | one series of a write request, in place                          |
//! | `label`     | one label, in place                                              |
//! | [`histogram`] | one native histogram of a write request, as a value            |
//! | [`exemplar`] | one exemplar of a write request, as a value                     |
//! | [`metadata`] | the metadata of a write request, in place                       |
//! | [`outcome`] | what became of a write request                                   |
//! | [`reason`]  | why something of it was not stored                               |
//! | [`refusal`] | what was not stored and why                                      |
//! | [`read`]    | answers a read request with samples and histograms               |
//! | `histogram_encoder` | histograms as messages                                   |
//! | [`packed`]  | a snappy block that is written piece by piece                    |
//! | [`thanos`]  | what a Thanos Receive router forwards                            |
//! | [`pb`]      | the messages as prost has them: the schema, and the cold paths   |
//! | [`stream_request`] | one message of a write stream, in place                  |
//! | [`metrics`] | what is counted                                                  |

pub mod exemplar;
pub mod histogram;
mod histogram_encoder;
mod label;
pub mod limits;
pub mod metadata;
pub mod metrics;
pub mod outcome;
pub mod packed;
pub mod pb;
pub mod protobuf;
pub mod read;
pub mod reader;
pub mod reason;
pub mod refusal;
mod schema;
pub mod series;
mod storing;
pub mod thanos;
pub mod stream_request;
pub mod write;
