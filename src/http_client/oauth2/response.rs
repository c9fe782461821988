//! Responses of the token endpoint (RFC 6749, 5).

use crate::http_client::error::TokenError;
use crate::model::secret::Secret;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Maximum length of an error code that is shown, characters.
const MAX_CODE: usize = 64;

/// Token as the endpoint returned it.
#[derive(Debug, PartialEq)]
pub(super) struct Token {
    pub(super) scheme: String,
    pub(super) text: Secret,
    /// `None` if it does not expire.
    pub(super) lifetime: Option<Duration>,
}

#[derive(Default, Deserialize)]
struct RawToken {
    #[serde(default)]
    access_token: Secret,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    expires_in: Value,
}

/// Reads a token from the body of a successful response.
pub(super) fn token(content_type: &str, body: &[u8]) -> Result<Token, TokenError> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let is_form = ["application/x-www-form-urlencoded", "text/plain"]
        .iter()
        .any(|form| kind.eq_ignore_ascii_case(form));
    let raw = if is_form { form(body) } else { json(body)? };
    if raw.access_token.is_empty() {
        return Err(TokenError::NoToken);
    }
    let seconds = match &raw.expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| *seconds >= 1.0).map(|seconds| seconds as u64);
    Ok(Token {
        scheme: scheme(&raw.token_type),
        text: raw.access_token,
        lifetime: seconds.map(Duration::from_secs),
    })
}

fn json(body: &[u8]) -> Result<RawToken, TokenError> {
    serde_json::from_slice(body).map_err(|_| TokenError::Response)
}

fn form(body: &[u8]) -> RawToken {
    let mut raw = RawToken::default();
    for (key, value) in form_urlencoded::parse(body) {
        match &*key {
            "access_token" => raw.access_token = Secret::new(value),
            "token_type" => raw.token_type = value.into_owned(),
            "expires_in" => raw.expires_in = Value::String(value.into_owned()),
            _ => {}
        }
    }
    raw
}

/// Returns the scheme of `Authorization`. Endpoints return `bearer`, which some servers refuse.
fn scheme(kind: &str) -> String {
    match kind.to_ascii_lowercase().as_str() {
        "" | "bearer" => "Bearer".to_owned(),
        "mac" => "MAC".to_owned(),
        "basic" => "Basic".to_owned(),
        _ => kind.to_owned(),
    }
}

/// Returns the field `error` of the body of another response; empty if it has none. Only the
/// characters of registered codes are kept, since the body may repeat the request.
pub(super) fn error_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct RawError {
        error: String,
    }
    let code = serde_json::from_slice(body).map(|raw: RawError| raw.error).unwrap_or_default();
    let is_code = code.chars().count() <= MAX_CODE
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { code } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::{error_code, token};

    #[test]
    fn tokens_of_responses() {
        for (kind, body, expected) in [
            ("application/json", r#"{"access_token":"t"}"#, "Bearer t None"),
            (
                "",
                r#"{"access_token":"t","token_type":"bearer","expires_in":60}"#,
                "Bearer t Some(60s)",
            ),
            ("x", r#"{"access_token":"t","token_type":"MAC","expires_in":"5"}"#, "MAC t Some(5s)"),
            ("x", r#"{"access_token":"t","token_type":"Own","expires_in":0}"#, "Own t None"),
            (
                "x",
                r#"{"access_token":"t","expires_in":1e300}"#,
                "Bearer t Some(18446744073709551615s)",
            ),
            ("text/plain; charset=x", "access_token=a%20b&expires_in=7", "Bearer a b Some(7s)"),
            (
                "application/x-www-form-urlencoded",
                "token_type=BEARER&access_token=t",
                "Bearer t None",
            ),
        ] {
            let token = token(kind, body.as_bytes()).unwrap();
            let text = format!("{} {} {:?}", token.scheme, token.text.expose(), token.lifetime);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn responses_without_token_are_errors() {
        let missing = "oauth2: server response missing access_token";
        let malformed = "oauth2: cannot parse response of the token endpoint";
        for (kind, body, expected) in [
            ("application/json", "{}", missing),
            ("text/plain", "{\"access_token\":\"t\"}", missing),
            ("application/json", "<html>", malformed),
            ("application/json", r#"{"access_token":7}"#, malformed),
            ("application/json", "", malformed),
        ] {
            assert_eq!(token(kind, body.as_bytes()).unwrap_err().to_string(), expected, "{body}");
        }
    }

    #[test]
    fn error_code_is_shown_only_if_it_is_one() {
        assert_eq!(error_code(br#"{"error":"invalid_client"}"#), "invalid_client");
        for body in [&br#"{"error":"secret Hunter2"}"#[..], b"{}", b"", b"x", br#"{"error":7}"#] {
            assert_eq!(error_code(body), "");
        }
    }
}
