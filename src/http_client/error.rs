//! Errors of the HTTP client. Their texts resemble those of Go, which operators know from
//! Prometheus. No text contains a secret.

use crate::http_client::body_error::{BodyError, exchange_text};
use crate::http_client::credentials::InvalidHeaderError;
use crate::http_client::dial::error::ConnectError;
use crate::http_client::files::ReadFileError;
use crate::http_client::jwt::KeyError;
use crate::http_client::tls::error::TlsSettingsError;
use crate::model::url::Url;
use crate::model::url::syntax::ParseUrlError;
use http::Method;
use std::fmt;

/// Error of a request.
#[derive(Debug)]
pub struct RequestError(Box<FailedRequest>);

/// Request that has no response. It is boxed, because a URL is large.
#[derive(Debug)]
struct FailedRequest {
    method: Method,
    /// Shown without its password.
    url: Url,
    failure: RequestFailure,
}

/// Reason why a request has no response.
#[derive(Debug, thiserror::Error)]
pub enum RequestFailure {
    /// The deadline has passed.
    #[error("context deadline exceeded")]
    Deadline,
    /// A file with a secret cannot be read.
    #[error(transparent)]
    File(#[from] ReadFileError),
    /// Files with certificates or keys are invalid.
    #[error(transparent)]
    Tls(#[from] TlsSettingsError),
    /// A header value cannot be sent.
    #[error(transparent)]
    Header(#[from] InvalidHeaderError),
    /// The token endpoint has not issued a token.
    #[error("{0}")]
    Token(Box<TokenError>),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection failed, or the response is invalid.
    #[error("{}", exchange_text(.0))]
    Exchange(#[from] hyper::Error),
    /// Too many redirects.
    #[error("stopped after {0} redirects")]
    Redirects(usize),
    /// A redirect to something that is not a URL.
    #[error("failed to parse Location header: {0}")]
    Location(ParseUrlError),
    /// Neither `http` nor `https`.
    #[error("unsupported protocol scheme {scheme:?}")]
    Scheme {
        /// Scheme of the URL.
        scheme: String,
    },
    /// A redirect to another host of a request whose body may contain credentials.
    #[error("redirect to another host would send it the request body")]
    BodyLeaves,
}

/// Error of getting a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file with the secret or key cannot be read.
    #[error("unable to read oauth2 client secret: {0}")]
    Secret(#[from] ReadFileError),
    /// The endpoint has not responded.
    #[error("oauth2: cannot fetch token: {0}")]
    Request(#[from] RequestError),
    /// The response could not be read.
    #[error("oauth2: cannot fetch token: {0}")]
    Body(#[from] BodyError),
    /// The endpoint refused the request.
    #[error("oauth2: cannot fetch token: {status}{}", detail(error_code))]
    Refused {
        /// Status code and reason.
        status: String,
        /// Field `error` of the response, such as `invalid_client`; empty if there is none.
        error_code: String,
    },
    /// The response is neither JSON nor a form.
    #[error("oauth2: cannot parse response of the token endpoint")]
    Response,
    /// The response has no token.
    #[error("oauth2: server response missing access_token")]
    NoToken,
    /// The token cannot be sent.
    #[error("oauth2: {0}")]
    Header(#[from] InvalidHeaderError),
    /// The key cannot sign assertions.
    #[error("oauth2: {0}")]
    Key(#[from] KeyError),
}

fn detail(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!(": {code}") }
}

impl RequestError {
    pub(super) fn new(method: &Method, url: &Url, failure: RequestFailure) -> Self {
        Self(Box::new(FailedRequest { method: method.clone(), url: url.clone(), failure }))
    }

    /// Returns the reason.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn failure(&self) -> &RequestFailure {
        &self.0.failure
    }

    /// Returns `true` if the deadline has passed.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn is_deadline(&self) -> bool {
        matches!(self.0.failure, RequestFailure::Deadline)
    }
}

impl fmt::Display for RequestError {
    /// Formats like Go's `url.Error`: `Get "http://host/path": cause`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.0.method.as_str();
        let (first, rest) = method.split_at(method.len().min(1));
        let rest = rest.to_ascii_lowercase();
        write!(f, "{first}{rest} \"{}\": {}", self.0.url, self.0.failure)
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.failure)
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestError, RequestFailure};
    use crate::model::url::Url;
    use http::Method;

    #[test]
    fn error_names_method_and_url_without_password() {
        let url = Url::parse("http://u:hidden@h:1/x?y").unwrap();
        let error = RequestError::new(&Method::GET, &url, RequestFailure::Deadline);
        assert_eq!(error.to_string(), "Get \"http://u:xxxxx@h:1/x?y\": context deadline exceeded");
        assert!(error.is_deadline() && !format!("{error:?}").contains("hidden"));
    }
}
