//! `--web.cors.origin`: the origins whose scripts may read responses of the API.

use crate::model::matcher::error::MatcherError;
use crate::model::matcher::{MatchType, Matcher};
use std::str::FromStr;

/// Regular expression for the header `Origin`, which the whole value must match.
#[derive(Clone, Debug)]
pub struct CorsOrigin(Matcher);

impl CorsOrigin {
    /// Returns `true` if scripts of this origin may read responses.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.0.matches(origin)
    }
}

impl FromStr for CorsOrigin {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        Ok(Self(Matcher::new(MatchType::Regex, "origin", text)?))
    }
}

#[cfg(test)]
mod tests {
    use super::CorsOrigin;

    #[test]
    fn whole_origin_must_match() {
        let origin: CorsOrigin = r"https?://(a|b)\.example\.test".parse().unwrap();
        assert!(origin.allows("https://a.example.test") && origin.allows("http://b.example.test"));
        for other in ["https://a.example.test.evil", "https://axexample.test", "null", ""] {
            assert!(!origin.allows(other), "{other}");
        }
        assert!("https://(".parse::<CorsOrigin>().is_err());
    }
}
