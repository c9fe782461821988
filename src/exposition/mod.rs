//! Exposition formats of scraped targets: Prometheus's text, OpenMetrics and protobuf.
//!
//! [`parser::Parser`] is the interface of all formats. Parsers read a whole body in place and yield
//! metadata and series in its order. The bytes that identify a series are part of the body, so a
//! cache can map them to a stored series without parsing labels.
//!
//! | module | contents |
//! |---|---|
//! | `canonical_number` | canonical text of bounds and quantiles |
//! | [`classic_histogram`] | classic histogram and its conversion to custom buckets |
//! | `custom_buckets` | parser that converts the classic histograms of another one |
//! | [`entry`] | metadata, samples and exemplars |
//! | `entry_lines` | entries as text, for tests |
//! | [`mod@format`] | formats, and the choice by Content-Type |
//! | `histogram_buffer` | reused native histogram of a parser |
//! | [`label_buffer`] | labels of a series in reused buffers |
//! | `lex` | pieces that both text formats share |
//! | [`media_type`] | media types in Go's words |
//! | `number` | numbers of the text formats; canonical bounds |
//! | [`mod@open`] | choice of the parser |
//! | `openmetrics` | OpenMetrics |
//! | [`parse_error`] | errors of malformed bodies |
//! | [`parser`] | interface of the parsers |
//! | `protobuf` | protobuf format |
//! | [`protobuf_problem`] | problems of protobuf bodies |
//! | `text` | Prometheus's text format |

pub(crate) mod canonical_number;
pub mod classic_histogram;
mod custom_buckets;
pub mod entry;
#[cfg(test)]
mod entry_lines;
pub mod format;
pub(crate) mod histogram_buffer;
pub mod label_buffer;
mod lex;
pub mod media_type;
pub(crate) mod number;
pub mod open;
mod openmetrics;
pub mod parse_error;
pub mod parser;
mod protobuf;
pub mod protobuf_problem;
mod text;
