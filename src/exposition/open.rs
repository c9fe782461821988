//! Choice of the parser for a format.

use crate::exposition::format::Format;
use crate::exposition::openmetrics::OpenMetricsParser;
use crate::exposition::parser::{Parser, ParserOptions};
use crate::exposition::text::TextParser;

/// Returns the parser of a decompressed body.
#[must_use]
pub fn open_parser<'a>(
    body: &'a [u8],
    format: Format,
    options: ParserOptions,
) -> Box<dyn Parser + 'a> {
    match format {
        Format::Text => Box::new(TextParser::new(body)),
        Format::OpenMetrics => Box::new(OpenMetricsParser::new(body, options.start_timestamps)),
        // The parser of protobuf takes this place.
        Format::Protobuf => Box::new(TextParser::new(body)),
    }
}
