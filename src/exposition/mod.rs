//! Exposition formats of scraped targets: Prometheus's text, OpenMetrics and protobuf.
//!
//! [`parser::Parser`] is the interface of all formats. Parsers read a whole body in place and yield
//! metadata and series in its order. The bytes that identify a series are part of the body, so a
//! cache can map them to a stored series without parsing labels.
//!
//! | module | contents |
//! |---|---|
//! | [`entry`] | metadata, samples and exemplars |
//! | [`mod@format`] | formats, and the choice by Content-Type |
//! | [`label_buffer`] | labels of a series in reused buffers |
//! | `lex` | pieces that both text formats share |
//! | [`media_type`] | media types in Go's words |
//! | `number` | numbers of the text formats; canonical bounds |
//! | [`mod@open`] | choice of the parser |
//! | `openmetrics` | OpenMetrics |
//! | [`parse_error`] | errors of malformed bodies |
//! | [`parser`] | interface of the parsers |
//! | `test_entries` | entries as text, for tests |
//! | `text` | Prometheus's text format |

pub mod entry;
pub mod format;
pub mod label_buffer;
mod lex;
pub mod media_type;
pub(crate) mod number;
pub mod open;
mod openmetrics;
pub mod parse_error;
pub mod parser;
#[cfg(test)]
pub(crate) mod test_entries;
mod text;
