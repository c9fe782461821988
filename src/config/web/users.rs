//! Section `basic_auth_users`: users and bcrypt hashes.
//!
//! No error contains a hash.

use crate::config::web::contents::PasswordHash;
use crate::config::yaml::document::{Pairs, Section, invalid};
use crate::config::yaml::error::ConfigProblem;
use bcrypt::HashParts;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// Maximum number of users.
const MAX_USERS: usize = 10_000;
/// Minimum cost of bcrypt.
const MIN_COST: u32 = 4;
/// Position of the last character of the salt in a hash.
const SALT_END: usize = 28;
/// Characters that encode 6 bits, in the order of their values.
const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Parses the section; `None` if the file does not have it.
pub(super) fn parse(
    section: &Section<'_>,
    max_cost: u32,
    warnings: &mut Vec<ConfigProblem>,
) -> Result<Option<BTreeMap<String, PasswordHash>>, ConfigProblem> {
    let raw: Option<Pairs<Option<Spanned<String>>>> = section.read()?;
    let Some(Pairs(pairs)) = raw else { return Ok(None) };
    if let Some((name, _)) = pairs.get(MAX_USERS) {
        let message = format!("basic_auth_users has more than {MAX_USERS} users");
        return Err(invalid(name, message));
    }
    let mut users = BTreeMap::new();
    for (name, hash) in pairs {
        let position = hash.as_ref().unwrap_or(&name);
        let text = hash.as_ref().map_or("", |hash| hash.value.as_str());
        let hash = password_hash(text, max_cost).map_err(|reason| {
            let message = format!("basic_auth_users: hash of user {:?} {reason}", name.value);
            invalid(position, message)
        })?;
        if name.value.contains(':') {
            let message = format!(
                "basic_auth_users: user {:?} cannot log in: basic authentication has no user \
                 names with a colon",
                name.value
            );
            warnings.push(invalid(&name, message));
        }
        users.insert(name.value, hash);
    }
    Ok(Some(users))
}

fn password_hash(text: &str, max_cost: u32) -> Result<PasswordHash, String> {
    let hash = with_canonical_salt(text);
    let Ok(parts) = hash.parse::<HashParts>() else {
        return Err("is not a bcrypt hash: expected 60 characters that begin with $2a$, $2b$, \
                    $2x$ or $2y$"
            .to_owned());
    };
    match parts.get_cost() {
        cost if cost < MIN_COST => Err(format!("has cost {cost}; the minimum is {MIN_COST}")),
        cost if cost > max_cost => {
            Err(format!("has cost {cost}, which exceeds {max_cost} (--web.auth-max-bcrypt-cost)"))
        }
        _ => Ok(PasswordHash(hash)),
    }
}

/// Clears the unused bits of the salt. Some programs set them; Go ignores them, and the crate
/// `bcrypt` rejects them.
fn with_canonical_salt(hash: &str) -> String {
    let mut bytes = hash.as_bytes().to_vec();
    if let Some(last) = bytes.get_mut(SALT_END)
        && let Some(value) = ALPHABET.iter().position(|known| known == last)
    {
        // 16 bytes are 21 characters and 2 of the 6 bits of the last one.
        *last = ALPHABET[value & 0b11_0000];
    }
    String::from_utf8(bytes).unwrap_or_else(|_| hash.to_owned())
}

#[cfg(test)]
mod tests {
    use super::password_hash;

    /// Hash of `wonder`, by Python's bcrypt.
    const HASH: &str = "$2b$04$jZ/9xMurPm4HiUmwPyPWbeM759.mXfUACRjJmugWoBbbBAmyXfEVW";

    #[test]
    fn unused_bits_of_salt_are_ignored() {
        for last in ["e", "f", "h", "t"] {
            let hash = format!("{}{last}{}", &HASH[..28], &HASH[29..]);
            let canonical = password_hash(&hash, 14).unwrap().0;
            assert!(bcrypt::verify("wonder", &canonical).unwrap(), "{hash}");
        }
        // `.` has other used bits: another salt.
        let other = format!("{}.{}", &HASH[..28], &HASH[29..]);
        assert!(!bcrypt::verify("wonder", &password_hash(&other, 14).unwrap().0).unwrap());
    }

    #[test]
    fn cost_is_limited() {
        let with_cost = |cost: &str| HASH.replace("$04$", &format!("${cost}$"));
        for (cost, max, is_valid) in
            [("04", 4, true), ("05", 4, false), ("14", 14, true), ("15", 14, false)]
        {
            assert_eq!(password_hash(&with_cost(cost), max).is_ok(), is_valid, "{cost} {max}");
        }
        let error = password_hash(&with_cost("15"), 14).unwrap_err();
        assert!(error.contains("cost 15") && error.contains("exceeds 14"), "{error}");
        assert!(password_hash(&with_cost("03"), 14).unwrap_err().contains("minimum is 4"));
        assert!(password_hash(&with_cost("99"), 31).is_err());
    }

    #[test]
    fn other_hashes_are_rejected_without_their_text() {
        let long = format!("{HASH}x");
        for hash in ["", "wonder", &HASH[..59], &long, "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "é"]
            .into_iter()
            .map(str::to_owned)
            .chain(["$1b$", "$2z$", "$3b$"].map(|version| HASH.replace("$2b$", version)))
            .chain([HASH.replace('M', "!"), HASH.replace("jZ", "é")])
        {
            let error = password_hash(&hash, 31).unwrap_err();
            assert!(hash.is_empty() || !error.contains(&hash), "{error}");
        }
    }
}
