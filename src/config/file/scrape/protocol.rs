//! Exposition formats that a scrape requests, and their order.

use crate::config::yaml::value::Value;

/// Exposition format that a scrape requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScrapeProtocol {
    /// Protobuf, delimited by lengths.
    PrometheusProto,
    /// OpenMetrics 1.0.0.
    OpenMetricsText1_0_0,
    /// OpenMetrics 0.0.1.
    OpenMetricsText0_0_1,
    /// Text format 1.0.0.
    PrometheusText1_0_0,
    /// Text format 0.0.4.
    PrometheusText0_0_4,
}

impl ScrapeProtocol {
    /// All protocols, in the order in which native histograms make a scrape prefer them.
    pub const PROTO_FIRST: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// Protocols of a scrape without native histograms, in order of preference.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// Returns the name in the configuration file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrometheusProto => "PrometheusProto",
            Self::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
            Self::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Self::PrometheusText1_0_0 => "PrometheusText1.0.0",
            Self::PrometheusText0_0_4 => "PrometheusText0.0.4",
        }
    }
}

/// Reads `scrape_protocols`; `None` if the value is null.
pub(super) fn list(value: &Value<'_>) -> Option<Vec<ScrapeProtocol>> {
    if value.is_null() {
        return None;
    }
    let items = value.list();
    if items.is_empty() {
        value.problem("must not be empty; remove the key for the default");
    }
    let mut protocols = Vec::new();
    for item in items {
        let Some(protocol) = one(&item) else { continue };
        if protocols.contains(&protocol) {
            item.problem(format_args!("{} is listed twice", protocol.as_str()));
        } else {
            protocols.push(protocol);
        }
    }
    Some(protocols)
}

/// Reads `fallback_scrape_protocol`; `None` if it is empty.
pub(super) fn fallback(value: &Value<'_>) -> Option<ScrapeProtocol> {
    if value.string()?.is_empty() { None } else { one(value) }
}

fn one(value: &Value<'_>) -> Option<ScrapeProtocol> {
    let name = value.string()?;
    let protocol = ScrapeProtocol::PROTO_FIRST.into_iter().find(|known| known.as_str() == name);
    if protocol.is_none() {
        let names: Vec<_> =
            ScrapeProtocol::PROTO_FIRST.iter().map(|known| known.as_str()).collect();
        value.problem(format_args!(
            "unknown protocol {name:?}, expected one of {}",
            names.join(", ")
        ));
    }
    protocol
}
