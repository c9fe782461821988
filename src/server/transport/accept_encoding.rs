//! Choice of the encoding of a response, from `Accept-Encoding`.
//!
//! Source: RFC 9110, section 12.5.3. A coding is acceptable if its weight is above zero; `*`
//! means every coding that is not listed. Unlike Prometheus, weights and upper case count.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;

/// Weight of a coding, in thousandths.
type Weight = u16;

const MAX_WEIGHT: Weight = 1000;

/// Returns `true` if the client accepts gzip and does not prefer a response without encoding.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut other) = (None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or_default().split(',') {
            let (coding, weight) = parse_item(item);
            let weights = match () {
                () if ["gzip", "x-gzip"].iter().any(|name| coding.eq_ignore_ascii_case(name)) => {
                    &mut gzip
                }
                () if coding.eq_ignore_ascii_case("identity") => &mut identity,
                () if coding == "*" => &mut other,
                () => continue,
            };
            *weights = (*weights).max(Some(weight));
        }
    }
    let gzip = gzip.or(other).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// Returns a coding and its weight, which is 0 if it is invalid.
fn parse_item(item: &str) -> (&str, Weight) {
    let mut parts = item.split(';').map(str::trim);
    let coding = parts.next().unwrap_or_default();
    let weight = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| parse_weight(value.trim()).unwrap_or(0))
    });
    (coding, weight.unwrap_or(MAX_WEIGHT))
}

/// Parses `0`, `1` or a number between them with at most three decimals.
fn parse_weight(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_valid = matches!(whole, "0" | "1")
        && decimals.len() <= 3
        && decimals.bytes().all(|digit| digit.is_ascii_digit());
    let weight: Weight = is_valid.then(|| format!("{whole}{decimals:0<3}").parse().ok())??;
    (weight <= MAX_WEIGHT).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::accepts_gzip;
    use axum::http::header::ACCEPT_ENCODING;
    use axum::http::{HeaderMap, HeaderValue};

    fn accepts(values: &[&'static str]) -> bool {
        let values = values.iter().map(|value| (ACCEPT_ENCODING, HeaderValue::from_static(value)));
        accepts_gzip(&values.collect::<HeaderMap>())
    }

    #[test]
    fn gzip_is_sent_if_accepted() {
        for values in [
            &["gzip"][..],
            &["x-gzip"],
            &["br, GZIP;q=0.5"],
            &["deflate", "gzip ; Q=0.001"],
            &["*"],
            &["*;q=0.1, br"],
            &["gzip;q=1.000, identity"],
            &["gzip, *;q=0"],
            &["gzip;q=0.5, identity;q=0.5"],
        ] {
            assert!(accepts(values), "{values:?}");
        }
    }

    #[test]
    fn gzip_is_not_sent_if_rejected() {
        for values in [
            &[][..],
            &[""],
            &["identity"],
            &["br, zstd, deflate"],
            &["gzip;q=0"],
            &["gzip;q=0.000, *"],
            &["*;q=0"],
            &["gzip;q=0.5, identity;q=1"],
            &["gzip;q=2"],
            &["gzip;q=1.001"],
            &["gzip;q=x"],
            &["gzip;q=0.0001"],
            &["zgzip", "gzip2"],
            &[",,;"],
        ] {
            assert!(!accepts(values), "{values:?}");
        }
    }
}
