//! Choice of the parser for a format.

use crate::exposition::custom_buckets::CustomBucketsParser;
use crate::exposition::format::Format;
use crate::exposition::openmetrics::OpenMetricsParser;
use crate::exposition::parser::{Parser, ParserOptions};
use crate::exposition::protobuf::parser::ProtobufParser;
use crate::exposition::text::TextParser;

/// Returns the parser of a decompressed body.
#[must_use]
pub fn open_parser<'a>(
    body: &'a [u8],
    format: Format,
    options: ParserOptions,
) -> Box<dyn Parser + 'a> {
    match format {
        Format::Text => convert(TextParser::new(body), options),
        Format::OpenMetrics => {
            convert(OpenMetricsParser::new(body, options.start_timestamps), options)
        }
        Format::Protobuf => Box::new(ProtobufParser::new(body, options)),
    }
}

/// Converts the classic histograms of a text format if the options demand it.
fn convert<'a>(parser: impl Parser + 'a, options: ParserOptions) -> Box<dyn Parser + 'a> {
    if options.convert_classic_histograms {
        Box::new(CustomBucketsParser::new(parser, options.keep_classic_histograms))
    } else {
        Box::new(parser)
    }
}
