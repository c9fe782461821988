//! Password as bcrypt sees it.
//!
//! bcrypt reads a password and a NUL byte again and again until it has 72 bytes. So bytes after the
//! 72nd have no effect, and different passwords can be one key (`a` and `a\0a`). The key, not the
//! password, identifies a cached result: a sender cannot create many entries for one password.
//! Source: Go's `golang.org/x/crypto/bcrypt` and `blowfish`.

use crate::config::web::contents::PasswordHash;
use std::fmt;

/// Number of bytes that bcrypt reads.
const KEY_LEN: usize = 72;

/// Key of a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct BcryptKey([u8; KEY_LEN]);

impl fmt::Debug for BcryptKey {
    /// Hides the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BcryptKey")
    }
}

impl BcryptKey {
    pub(super) fn new(password: &[u8]) -> Self {
        let period = password.iter().copied().chain(std::iter::once(0));
        let mut key = [0; KEY_LEN];
        for (byte, next) in key.iter_mut().zip(period.cycle()) {
            *byte = next;
        }
        Self(key)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns `true` if the hash is that of this password. Takes milliseconds to seconds.
    pub(super) fn matches(&self, hash: &PasswordHash) -> bool {
        // The parser accepts only hashes for which this is no error.
        bcrypt::verify(self.0, &hash.0).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::BcryptKey;
    use crate::config::web::contents::PasswordHash;

    fn matches(password: &[u8], hash: &str) -> bool {
        BcryptKey::new(password).matches(&PasswordHash(hash.to_owned()))
    }

    /// Users and passwords of the recordings of Prometheus.
    const ALICE: &str = "$2b$04$jZ/9xMurPm4HiUmwPyPWbeM759.mXfUACRjJmugWoBbbBAmyXfEVW";
    const Y: &str = "$2y$05$lgQDkCGDL79VT9UTmdQSdOP74qWyLuVrOZCGIvCjvWSoFHcDZc/GC";
    const LONG: &str = "$2b$04$2GbQ6ycc7Z3jQnc6H7WzVOhqpNErP26CLSQzLpS5qQj64Hjc5DrWm";

    #[test]
    fn all_bcrypt_versions_match() {
        assert!(matches(b"wonder", ALICE));
        assert!(matches(b"wonder", &ALICE.replace("$2b$", "$2a$")));
        assert!(matches(b"wonder", &ALICE.replace("$2b$", "$2x$")));
        assert!(matches(b"why", Y));
        for wrong in [&b"wonde"[..], b"wonder ", b"Wonder", b"", b"\0", b"wonder\0"] {
            assert!(!matches(wrong, ALICE), "{wrong:?}");
        }
    }

    #[test]
    fn password_is_cut_at_72_bytes() {
        assert!(matches(&[b'p'; 72], LONG));
        assert!(matches(&[b'p'; 73], LONG));
        assert!(!matches(&[b'p'; 71], LONG));
        assert!(BcryptKey::new(&[b'p'; 72]) == BcryptKey::new(&[b'p'; 1000]));
    }

    #[test]
    fn key_is_the_library_reading_of_the_password() {
        for password in [&b""[..], b"a", b"a\0b", "bü:ilder".as_bytes(), &[b'x'; 71], &[0xff; 80]]
        {
            let hash = bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().to_string();
            assert!(matches(password, &hash), "{password:?}");
        }
        assert!(BcryptKey::new(b"a") == BcryptKey::new(b"a\0a"));
        assert!(BcryptKey::new(b"a") != BcryptKey::new(b"a\0b"));
    }

    #[test]
    fn debug_output_hides_the_password() {
        assert_eq!(format!("{:?}", BcryptKey::new(b"wonder")), "BcryptKey");
    }
}
