//! Secrets of a request, which a server may repeat in its response.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use std::fmt;

/// Text in place of a secret.
const HIDDEN: &str = "<secret>";

/// Sensitive header values of a request.
#[derive(Clone, Default)]
pub struct SentSecrets(Vec<HeaderValue>);

impl fmt::Debug for SentSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentSecrets").finish_non_exhaustive()
    }
}

impl SentSecrets {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(headers.values().filter(|value| value.is_sensitive()).cloned().collect())
    }

    /// Replaces the secrets in a text of the server, so that it can be logged.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let mut secrets: Vec<String> = self.0.iter().flat_map(secrets).collect();
        secrets.retain(|secret| !secret.is_empty());
        // One secret may be a part of another one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

/// Returns the secrets of a header value: what follows a scheme, and a password in it.
fn secrets(value: &HeaderValue) -> Vec<String> {
    let text = String::from_utf8_lossy(value.as_bytes());
    let credentials = text.split_once(' ').map_or(&*text, |(_, credentials)| credentials);
    let decoded = STANDARD.decode(credentials).ok();
    let decoded = decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let password = decoded.as_deref().and_then(|user| user.split_once(':')).map(|(_, text)| text);
    let password = password.map(str::to_owned);
    [Some(text.clone().into_owned()), Some(credentials.to_owned()), password]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::SentSecrets;
    use crate::http_client::credentials;
    use http::HeaderMap;
    use http::header::{ACCEPT, AUTHORIZATION, COOKIE};

    #[test]
    fn repeated_secrets_are_hidden() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, "shown".parse().expect("a value"));
        headers.insert(AUTHORIZATION, credentials::basic("user", "hunter:2"));
        headers
            .append(AUTHORIZATION, credentials::authorization("Bearer", "t0ken").expect("valid"));
        headers.insert(COOKIE, credentials::secret_value("Cookie", "biscuit").expect("valid"));
        let secrets = SentSecrets::of(&headers);
        assert_eq!(
            secrets.hide("shown user hunter:2 dXNlcjpodW50ZXI6Mg== Bearer t0ken, t0ken biscuit"),
            "shown user <secret> <secret> <secret>, <secret> <secret>"
        );
        assert_eq!(format!("{secrets:?}"), "SentSecrets { .. }");
        assert_eq!(SentSecrets::default().hide("all"), "all");
    }
}
