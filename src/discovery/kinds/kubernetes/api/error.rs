//! Errors of requests.

use crate::discovery::kinds::kubernetes::objects::status::ApiStatus;
use crate::http_client::body_error::BodyError;
use crate::http_client::error::RequestError;
use crate::http_client::sent_secrets::SentSecrets;
use crate::model::url::syntax::ParseUrlError;
use std::time::Duration;

/// Maximum length of the text of a server in a message, bytes.
const MAX_EXCERPT: usize = 300;

/// Error of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The URL of the request is invalid.
    #[error(transparent)]
    Url(#[from] ParseUrlError),
    /// No response.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The body cannot be read.
    #[error("cannot read response: {0}")]
    Body(#[from] BodyError),
    /// Another status than 200, or an event with an error.
    #[error(transparent)]
    Status(#[from] StatusError),
}

/// Error that the server reports.
#[derive(Debug, thiserror::Error)]
#[error("server returned status {code} {reason}: {message:?}")]
pub(crate) struct StatusError {
    /// HTTP status.
    pub(crate) code: u16,
    reason: String,
    message: String,
    retry_after: Option<Duration>,
}

impl StatusError {
    /// Returns the error of a response. `header` is the value of `Retry-After`.
    pub(super) fn of_response(
        code: u16,
        reason: &str,
        header: Option<Duration>,
        body: &[u8],
        secrets: &SentSecrets,
    ) -> Self {
        let status = serde_json::from_slice::<ApiStatus>(body).unwrap_or_else(|_| ApiStatus {
            message: String::from_utf8_lossy(body).into_owned(),
            ..ApiStatus::default()
        });
        let reason =
            if status.reason.is_empty() { reason.to_owned() } else { status.reason.clone() };
        let error = Self::new(ApiStatus { code, reason, ..status }, secrets);
        Self { retry_after: header.or(error.retry_after), ..error }
    }

    /// Returns the error of a status, without the secrets of the request.
    pub(crate) fn new(status: ApiStatus, secrets: &SentSecrets) -> Self {
        let seconds = u64::from(status.details.retry_after_seconds);
        Self {
            code: status.code,
            reason: excerpt(secrets.hide(&status.reason)),
            message: excerpt(secrets.hide(&status.message)),
            retry_after: (seconds > 0).then(|| Duration::from_secs(seconds)),
        }
    }

    /// Returns `true` if the version or the page no longer exists.
    pub(crate) fn is_gone(&self) -> bool {
        self.code == 410
    }

    /// Returns `true` if the same request may succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.code, 401 | 403 | 429 | 500 | 502 | 503)
    }
}

impl ApiError {
    /// Returns the error that the server reports.
    pub(crate) fn status(&self) -> Option<&StatusError> {
        match self {
            Self::Status(status) => Some(status),
            Self::Url(_) | Self::Request(_) | Self::Body(_) => None,
        }
    }

    /// Returns the time for which the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.status().and_then(|status| status.retry_after)
    }
}

fn excerpt(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_EXCERPT));
    text
}

#[cfg(test)]
mod tests {
    use super::StatusError;
    use crate::http_client::sent_secrets::SentSecrets;
    use std::time::Duration;

    #[test]
    fn body_of_an_error_is_a_status_or_text() {
        let status = br#"{"kind":"Status","message":"pods is forbidden","reason":"Forbidden",
            "details":{"retryAfterSeconds":7},"code":500}"#;
        let secrets = SentSecrets::default();
        let error = StatusError::of_response(403, "x", None, status, &secrets);
        assert_eq!(
            error.to_string(),
            "server returned status 403 Forbidden: \"pods is forbidden\""
        );
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
        let seconds = Some(Duration::from_secs(1));
        let error = StatusError::of_response(429, "Too Many", seconds, &[0xff; 1000], &secrets);
        assert_eq!(error.retry_after, seconds);
        let text = error.to_string();
        assert!(text.starts_with("server returned status 429 Too Many: "), "{text}");
        assert!(text.len() < 1000, "{text}");
        let nulls = br#"{"reason":null,"details":null}"#;
        let null = StatusError::of_response(503, "", None, nulls, &secrets);
        assert_eq!(null.to_string(), "server returned status 503 : \"\"");
    }
}
