//! Header `Accept` of a scrape, equal to Prometheus's: some targets depend on its exact form.

use crate::config::file::scrape::names::EscapingScheme;
use crate::config::file::scrape::protocol::ScrapeProtocol;
use std::fmt::Write;

/// Returns the header for protocols in order of preference. Weights count down in tenths; the
/// first one leaves room for all protocols that exist.
#[must_use]
pub fn accept_header(protocols: &[ScrapeProtocol], escaping: EscapingScheme) -> String {
    let mut header = String::new();
    let mut weight = ScrapeProtocol::PROTO_FIRST.len() + 1;
    for protocol in protocols {
        header.push_str(media_range(*protocol));
        if has_escaping(*protocol) {
            header.push_str(";escaping=");
            header.push_str(escaping.as_str());
        }
        // Writing to a string cannot fail.
        let _ = write!(header, ";q=0.{weight},");
        weight = weight.saturating_sub(1);
    }
    let _ = write!(header, "*/*;q=0.{weight}");
    header
}

fn media_range(protocol: ScrapeProtocol) -> &'static str {
    match protocol {
        ScrapeProtocol::PrometheusProto => {
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited"
        }
        ScrapeProtocol::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
        ScrapeProtocol::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
        ScrapeProtocol::PrometheusText1_0_0 => "text/plain;version=1.0.0",
        ScrapeProtocol::PrometheusText0_0_4 => "text/plain;version=0.0.4",
    }
}

/// Returns `true` if the format is new enough for an escaping scheme.
fn has_escaping(protocol: ScrapeProtocol) -> bool {
    matches!(protocol, ScrapeProtocol::OpenMetricsText1_0_0 | ScrapeProtocol::PrometheusText1_0_0)
}

#[cfg(test)]
mod tests {
    use super::accept_header;
    use crate::config::file::scrape::names::EscapingScheme;
    use crate::config::file::scrape::protocol::ScrapeProtocol;

    #[test]
    fn default_header_is_that_of_prometheus() {
        assert_eq!(
            accept_header(&ScrapeProtocol::DEFAULT, EscapingScheme::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
    }

    #[test]
    fn protobuf_header_is_that_of_prometheus() {
        assert_eq!(
            accept_header(&ScrapeProtocol::PROTO_FIRST, EscapingScheme::Underscores),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=underscores;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
        );
    }

    #[test]
    fn weights_follow_the_order_of_the_list() {
        for (protocols, escaping, expected) in [
            (&[][..], EscapingScheme::Dots, "*/*;q=0.6"),
            (
                &[ScrapeProtocol::PrometheusText0_0_4],
                EscapingScheme::Dots,
                "text/plain;version=0.0.4;q=0.6,*/*;q=0.5",
            ),
            (
                &[ScrapeProtocol::PrometheusText1_0_0, ScrapeProtocol::OpenMetricsText0_0_1],
                EscapingScheme::Values,
                "text/plain;version=1.0.0;escaping=values;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,*/*;q=0.4",
            ),
        ] {
            assert_eq!(accept_header(protocols, escaping), expected);
        }
    }
}
