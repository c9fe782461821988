//! The remote protocols: wire messages on one side, appender and querier on the other.
//!
//! No HTTP and no gRPC: the edge hands over bytes and gets back what became of them.
//!
//! | file        | what                                                             |
//! |-------------|------------------------------------------------------------------|
//! | [`mod@write`] | stores a write request                                           |
//! | [`reader`]  | finds series and samples in a write request, in place            |
//! | [`series`]  | one series of a write request, in place                          |
//! | [`metadata`] | the metadata of a write request, in place                       |
//! | [`outcome`] | what became of a write request                                   |
//! | [`refusal`] | what was not stored and why                                      |
//! | [`read`]    | answers a read request with samples and histograms               |
//! | `histogram_encoder` | histograms as messages                                   |
//! | [`packed`]  | a snappy block that is written piece by piece                    |
//! | [`pb`]      | the messages as prost has them: the schema, and the cold paths   |
//! | [`metrics`] | what is counted                                                  |

mod histogram_encoder;
pub mod metadata;
pub mod metrics;
pub mod outcome;
pub mod packed;
pub mod pb;
pub mod protobuf;
pub mod read;
pub mod reader;
pub mod refusal;
mod schema;
pub mod series;
pub mod write;
