//! Values of strings.

/// Value of a string: bytes, because `"\xff"` is a string. Nearly always UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StringValue(Box<[u8]>);

impl StringValue {
    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text; `None` if the bytes are not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<Vec<u8>> for StringValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for StringValue {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for StringValue {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}
