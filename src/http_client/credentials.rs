//! Header values with credentials.

use crate::model::url::syntax::UserInfo;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// Header whose name or value cannot be sent. The value may be a secret and is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid name or value of header {name:?}")]
pub struct InvalidHeaderError {
    /// Name as configured.
    pub name: String,
}

/// Returns a value of `Authorization` for basic authentication.
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    // Base64 is always a valid value.
    let value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Basic"));
    sensitive(value)
}

/// Returns a value of `Authorization` with the user information of a URL.
pub(super) fn basic_of_url(user: &UserInfo) -> HeaderValue {
    basic(&user.name, user.password.as_ref().map_or("", |password| password.expose()))
}

/// Returns a value of `Authorization` with a scheme and credentials.
pub(super) fn authorization(scheme: &str, text: &str) -> Result<HeaderValue, InvalidHeaderError> {
    secret_value("Authorization", &format!("{scheme} {text}"))
}

/// Returns a header value that is neither logged nor sent to other hosts.
pub(super) fn secret_value(name: &str, text: &str) -> Result<HeaderValue, InvalidHeaderError> {
    let value = HeaderValue::from_bytes(text.as_bytes());
    value.map(sensitive).map_err(|_| InvalidHeaderError { name: name.to_owned() })
}

/// Returns a header value that may be shown.
pub(super) fn plain_value(name: &str, text: &str) -> Result<HeaderValue, InvalidHeaderError> {
    let value = HeaderValue::from_bytes(text.as_bytes());
    value.map_err(|_| InvalidHeaderError { name: name.to_owned() })
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::{authorization, basic};

    #[test]
    fn credentials_are_encoded_and_hidden() {
        let value = basic("us:er", "p\u{e4} ss");
        assert_eq!(value.to_str().unwrap(), "Basic dXM6ZXI6cMOkIHNz");
        assert_eq!(format!("{value:?}"), "Sensitive");
        let value = authorization("Bearer", "tok en").unwrap();
        assert_eq!(
            (value.as_bytes(), format!("{value:?}").as_str()),
            (&b"Bearer tok en"[..], "Sensitive")
        );
        assert_eq!(authorization("Bearer", "").unwrap().as_bytes(), b"Bearer ");
        let error = authorization("Bearer", "hidden\nx").unwrap_err();
        assert_eq!(error.to_string(), "invalid name or value of header \"Authorization\"");
    }
}
