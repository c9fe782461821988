//! The names of blocks: ULIDs, 48 bits of time (ms) and 80 random ones, as 26 characters of Crockford's base 32.
//!
//! Only the canonical form counts, in capitals: the name of a block's folder and the `ulid` in its `meta.json` are compared as they stand.
//! Every second program knows other forms of the same number; folders have none.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::str::FromStr;

/// Fills a buffer with random bytes, or says why there are none.
pub type RandomSource = fn(&mut [u8]) -> io::Result<()>;

/// Random bytes of the system.
///
/// # Errors
/// What the system says where it has none.
pub fn system_random(buffer: &mut [u8]) -> io::Result<()> {
    getrandom::fill(buffer).map_err(io::Error::other)
}

/// The name of a block. Its order is that of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockUlid(ulid::Ulid);

/// Text that is not the canonical form of a ULID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a ulid")]
pub struct ParseUlidError(String);

impl BlockUlid {
    /// A new name, made at `now_ms` (ms since the epoch).
    ///
    /// # Errors
    /// What the system says where it has no random bytes.
    pub fn new(now_ms: u64) -> io::Result<Self> {
        Self::from_random(now_ms, system_random)
    }

    /// The same with random bytes of another source.
    ///
    /// # Errors
    /// Error of the source.
    pub fn from_random(now_ms: u64, source: RandomSource) -> io::Result<Self> {
        let mut random = [0; 16];
        source(&mut random)?;
        Ok(Self::from_parts(now_ms, u128::from_be_bytes(random)))
    }

    /// The name with this time (the lower 48 bits count) and this random number (the lower 80 bits count).
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

    fn from_str(text: &str) -> Result<Self, ParseUlidError> {
        let ulid = ulid::Ulid::from_string(text).ok().filter(|ulid| ulid.to_string() == text);
        ulid.map(Self).ok_or_else(|| ParseUlidError(text.to_owned()))
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
    fn only_the_canonical_form_is_read() {
        let text = "01M82CTXRBSZKSA9A0ZWVPK1T0";
        assert_eq!(text.parse::<BlockUlid>().unwrap().to_string(), text);
        for other in [
            &text.to_lowercase(),
            &text[1..],
            "81M82CTXRBSZKSA9A0ZWVPK1T0",
            "O1M82CTXRBSZKSA9A0ZWVPK1T0",
            "é",
            "",
        ] {
            assert!(other.parse::<BlockUlid>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_new_name_has_its_time_and_sorts_by_it() {
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
