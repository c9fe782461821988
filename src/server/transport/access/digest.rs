//! Digests that identify credentials in caches.
//!
//! # Format
//! HMAC-SHA256 with a random key of the process over: length of the user name (8 bytes), user name,
//! length of the stored hash (8 bytes), stored hash, 1 if the user exists (1 byte), bcrypt key of
//! the password (72 bytes). Without the key of the process, a digest says nothing about a password.

use crate::config::web::contents::PasswordHash;
use crate::server::transport::access::bcrypt_key::BcryptKey;
use ring::hmac;
use std::io;

/// Digest of user name, stored hash and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

#[cfg(test)]
impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Random key of the digests of this process.
#[derive(Clone, Debug)]
pub(super) struct DigestKey(hmac::Key);

impl DigestKey {
    /// Creates a random key.
    ///
    /// # Errors
    /// The error of the system's random number generator.
    pub(super) fn generate() -> io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    pub(super) fn digest(
        &self,
        user: &[u8],
        PasswordHash(hash): &PasswordHash,
        is_known: bool,
        key: &BcryptKey,
    ) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [user, hash.as_bytes()] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        context.update(&[u8::from(is_known)]);
        context.update(key.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::DigestKey;
    use crate::config::web::contents::PasswordHash;
    use crate::server::transport::access::bcrypt_key::BcryptKey;
    use std::collections::HashSet;

    #[test]
    fn digest_depends_on_every_part() {
        let keys = [DigestKey::generate().unwrap(), DigestKey::generate().unwrap()];
        let hash = |text: &str| PasswordHash(text.to_owned());
        let digest = |key: &DigestKey, user: &str, text: &str, is_known, password: &str| {
            key.digest(user.as_bytes(), &hash(text), is_known, &BcryptKey::new(password.as_bytes()))
        };
        let digests: HashSet<_> = [
            digest(&keys[0], "a", "b", true, "c"),
            digest(&keys[1], "a", "b", true, "c"),
            digest(&keys[0], "ab", "", true, "c"),
            digest(&keys[0], "", "ab", true, "c"),
            digest(&keys[0], "a", "b", false, "c"),
            digest(&keys[0], "a", "b", true, "d"),
        ]
        .into();
        assert_eq!(digests.len(), 6);
        assert_eq!(digest(&keys[0], "a", "b", true, "c"), digest(&keys[0], "a", "b", true, "c\0c"));
    }
}
