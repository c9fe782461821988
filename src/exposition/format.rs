//! Exposition formats, and the choice of the format of a response by its Content-Type.

use crate::exposition::media_type::{MediaTypeError, parse_media_type};
use std::fmt;

/// Exposition format. Versions of a format are parsed alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus's text format.
    Text,
    /// OpenMetrics text.
    OpenMetrics,
    /// Length-delimited messages `io.prometheus.client.MetricFamily`.
    Protobuf,
}

/// Format of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedFormat {
    /// Format to parse.
    pub format: Format,
    /// Reason why the fallback is used; for a log line.
    pub notice: Option<ContentTypeError>,
}

/// Content-Type that does not name a format. The texts are those of Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentTypeError {
    /// Problem of the header.
    pub problem: ContentTypeProblem,
    /// Fallback that is used instead; without it the scrape fails.
    pub fallback: Option<Format>,
}

/// Problem of a Content-Type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentTypeProblem {
    /// The header is absent or empty.
    Blank,
    /// The header is malformed.
    Malformed {
        /// Value of the header.
        content_type: String,
        /// Problem of its syntax.
        cause: MediaTypeError,
    },
    /// The media type is none of the exposition formats.
    Unsupported {
        /// Value of the header.
        content_type: String,
    },
}

impl Format {
    /// Returns the media type without parameters.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::OpenMetrics => "application/openmetrics-text",
            Self::Protobuf => "application/vnd.google.protobuf",
        }
    }

    /// Returns the format of a media type without parameters, in lower case.
    fn of_media_type(media_type: &str) -> Option<Self> {
        [Self::Text, Self::OpenMetrics, Self::Protobuf]
            .into_iter()
            .find(|format| format.media_type() == media_type)
    }

    /// Selects the format of a response. An absent header is an empty `content_type`. The fallback
    /// is used only if the header is absent, malformed or names no format.
    ///
    /// # Errors
    /// [`ContentTypeError`] if there is no fallback either.
    pub fn select(
        content_type: &str,
        fallback: Option<Self>,
    ) -> Result<SelectedFormat, ContentTypeError> {
        let problem = if content_type.is_empty() {
            ContentTypeProblem::Blank
        } else {
            match parse_media_type(content_type).map(|media_type| Self::of_media_type(&media_type))
            {
                Ok(Some(format)) => return Ok(SelectedFormat { format, notice: None }),
                Ok(None) => {
                    ContentTypeProblem::Unsupported { content_type: content_type.to_owned() }
                }
                Err(cause) => {
                    ContentTypeProblem::Malformed { content_type: content_type.to_owned(), cause }
                }
            }
        };
        let error = ContentTypeError { problem, fallback };
        match fallback {
            Some(format) => Ok(SelectedFormat { format, notice: Some(error) }),
            None => Err(error),
        }
    }
}

impl fmt::Display for ContentTypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fallback = self.fallback.map(|format| go_quote(format.media_type()));
        match (&self.problem, fallback) {
            (ContentTypeProblem::Blank, None) => f.write_str(
                "non-compliant scrape target sending blank Content-Type and no \
                 fallback_scrape_protocol specified for target",
            ),
            (ContentTypeProblem::Blank, Some(fallback)) => write!(
                f,
                "non-compliant scrape target sending blank Content-Type, using \
                 fallback_scrape_protocol {fallback}"
            ),
            (ContentTypeProblem::Malformed { content_type, cause }, None) => write!(
                f,
                "cannot parse Content-Type {} and no fallback_scrape_protocol for target\n{cause}",
                go_quote(content_type)
            ),
            (ContentTypeProblem::Malformed { content_type, cause }, Some(fallback)) => write!(
                f,
                "could not parse received Content-Type {}, using fallback_scrape_protocol \
                 {fallback}\n{cause}",
                go_quote(content_type)
            ),
            (ContentTypeProblem::Unsupported { content_type }, None) => write!(
                f,
                "received unsupported Content-Type {} and no fallback_scrape_protocol specified \
                 for target",
                go_quote(content_type)
            ),
            (ContentTypeProblem::Unsupported { content_type }, Some(fallback)) => write!(
                f,
                "received unsupported Content-Type {}, using fallback_scrape_protocol {fallback}",
                go_quote(content_type)
            ),
        }
    }
}

impl std::error::Error for ContentTypeError {}

/// Returns a text in double quotes with the escapes of Go's `%q`.
fn go_quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(character)));
            }
            '\u{80}'..='\u{a0}' | '\u{ad}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{Format, go_quote};

    /// Returns the format and the notice, or the error.
    fn select(content_type: &str, fallback: Option<Format>) -> (Option<Format>, String) {
        match Format::select(content_type, fallback) {
            Ok(selected) => (
                Some(selected.format),
                selected.notice.map(|notice| notice.to_string()).unwrap_or_default(),
            ),
            Err(error) => (None, error.to_string()),
        }
    }

    #[test]
    fn known_media_types_select_their_format() {
        for (content_type, format) in [
            ("text/plain", Format::Text),
            ("text/plain; version=0.0.4; charset=utf-8; escaping=underscores", Format::Text),
            ("TEXT/Plain ;version=9", Format::Text),
            ("text/plain;", Format::Text),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text; version=\"7\"", Format::OpenMetrics),
            ("application/vnd.google.protobuf", Format::Protobuf),
            ("application/vnd.google.protobuf; proto=other; encoding=text", Format::Protobuf),
        ] {
            let found = select(content_type, Some(Format::Protobuf));
            assert_eq!(found, (Some(format), String::new()), "{content_type}");
        }
    }

    #[test]
    fn other_content_types_fail_in_prometheus_words() {
        for (content_type, error) in [
            (
                "",
                "non-compliant scrape target sending blank Content-Type and no \
                 fallback_scrape_protocol specified for target",
            ),
            (
                "text/plain, application/json",
                "cannot parse Content-Type \"text/plain, application/json\" and no \
                 fallback_scrape_protocol for target\nmime: unexpected content after media subtype",
            ),
            (
                "text/plain;;; version",
                "cannot parse Content-Type \"text/plain;;; version\" and no \
                 fallback_scrape_protocol for target\nmime: invalid media parameter",
            ),
            (
                "foo",
                "received unsupported Content-Type \"foo\" and no fallback_scrape_protocol \
                 specified for target",
            ),
        ] {
            assert_eq!(select(content_type, None), (None, error.into()), "{content_type}");
        }
    }

    #[test]
    fn fallback_is_used_with_a_notice() {
        for (content_type, notice) in [
            (
                "",
                "non-compliant scrape target sending blank Content-Type, using \
                 fallback_scrape_protocol \"text/plain\"",
            ),
            (
                "x y",
                "could not parse received Content-Type \"x y\", using fallback_scrape_protocol \
                 \"text/plain\"\nmime: expected slash after first token",
            ),
            (
                "text/html; charset=utf-8",
                "received unsupported Content-Type \"text/html; charset=utf-8\", using \
                 fallback_scrape_protocol \"text/plain\"",
            ),
        ] {
            let found = select(content_type, Some(Format::Text));
            assert_eq!(found, (Some(Format::Text), notice.into()), "{content_type}");
        }
    }

    #[test]
    fn quoted_text_has_the_escapes_of_go() {
        assert_eq!(go_quote("a\"\\\t\u{1}\u{7f}\u{80}é"), r#""a\"\\\t\x01\x7f\u0080é""#);
    }
}
