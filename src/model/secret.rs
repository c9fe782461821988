//! Texts that are never shown.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// Text shown for a secret, as in Prometheus.
pub const HIDDEN: &str = "<secret>";

/// Password, token or private key. [`Debug`], [`Display`](fmt::Display) and [`Serialize`] show
/// [`HIDDEN`] instead of the text.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, to be sent but neither shown nor logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `true` if the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn secret_is_hidden_in_every_format() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert!(!secret.is_empty() && Secret::default().is_empty());
        assert_eq!(format!("{secret} {secret:?}"), "<secret> <secret>");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"<secret>\"");
    }
}
