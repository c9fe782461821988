//! Block names: ULIDs with 48 bits of time (ms) and 80 random bits, in Crockford's base 32.
//!
//! A ULID has 26 characters. Only its canonical form in capitals is valid, because directory names
//! and the `ulid` in `meta.json` are compared as strings.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::str::FromStr;

/// Function that fills a buffer with random bytes.
pub type RandomSource = fn(&mut [u8]) -> io::Result<()>;

/// Fills `buffer` with random bytes of the operating system.
///
/// # Errors
/// Error of the operating system if it has no random bytes.
pub fn system_random(buffer: &mut [u8]) -> io::Result<()> {
    getrandom::fill(buffer).map_err(io::Error::other)
}

/// Name of a block, ordered as its string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockUlid(ulid::Ulid);

/// Error of parsing a string that is not a canonical ULID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{string:?} is not a canonical ULID")]
pub struct ParseUlidError {
    string: String,
}

impl BlockUlid {
    /// Creates a name for the time `now_ms` (ms since the Unix epoch).
    ///
    /// # Errors
    /// Error of the operating system if it has no random bytes.
    #[cfg(any(test, feature = "testing"))]
    pub fn new(now_ms: u64) -> io::Result<Self> {
        Self::from_random(now_ms, system_random)
    }

    /// Creates a name with random bytes of `source`.
    ///
    /// # Errors
    /// Error of the source.
    pub fn from_random(now_ms: u64, source: RandomSource) -> io::Result<Self> {
        let mut random = [0; 16];
        source(&mut random)?;
        Ok(Self::from_parts(now_ms, u128::from_be_bytes(random)))
    }

    /// Creates a name from the lower 48 bits of `now_ms` and the lower 80 bits of `random`.
    #[must_use]
    pub fn from_parts(now_ms: u64, random: u128) -> Self {
        Self(ulid::Ulid::from_parts(now_ms, random))
    }
}

impl fmt::Display for BlockUlid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BlockUlid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BlockUlid {
    type Err = ParseUlidError;

    fn from_str(string: &str) -> Result<Self, ParseUlidError> {
        let ulid = ulid::Ulid::from_string(string).ok().filter(|ulid| ulid.to_string() == string);
        ulid.map(Self).ok_or_else(|| ParseUlidError { string: string.to_owned() })
    }
}

impl Serialize for BlockUlid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlockUlid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::BlockUlid;

    #[test]
    fn only_canonical_form_is_parsed() {
        let string = "01M82CTXRBSZKSA9A0ZWVPK1T0";
        assert_eq!(string.parse::<BlockUlid>().unwrap().to_string(), string);
        for other in [
            &string.to_lowercase(),
            &string[1..],
            "81M82CTXRBSZKSA9A0ZWVPK1T0",
            "O1M82CTXRBSZKSA9A0ZWVPK1T0",
            "é",
            "",
        ] {
            assert!(other.parse::<BlockUlid>().is_err(), "{other}");
        }
    }

    #[test]
    fn new_ulid_has_its_time_and_sorts_by_it() {
        let (early, late) = (
            BlockUlid::new(1_762_300_800_000).unwrap(),
            BlockUlid::new(1_762_300_800_001).unwrap(),
        );
        let with = |random| BlockUlid::from_parts(1_762_300_800_000, random);
        assert!((with(0)..=with(u128::MAX)).contains(&early));
        assert!(early < late && early.to_string() < late.to_string());
        assert_ne!(BlockUlid::new(5).unwrap(), BlockUlid::new(5).unwrap());
    }
}
