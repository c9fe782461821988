//! Letter case as in Go's `strings.ToLower` and `strings.ToUpper`.
//!
//! Go maps each character to one character and ignores the context. Rust maps some characters to
//! several ones and a final sigma by its position.

/// Appends `text` in lower case.
pub(super) fn push_lowercase(text: &str, out: &mut String) {
    out.extend(text.chars().map(|c| match c {
        // Its full mapping has two characters.
        'İ' => 'i',
        _ => single(c.to_lowercase()).unwrap_or(c),
    }));
}

/// Appends `text` in upper case.
pub(super) fn push_uppercase(text: &str, out: &mut String) {
    out.extend(text.chars().map(|c| single(c.to_uppercase()).unwrap_or_else(|| titled(c))));
}

/// Returns the single-character mapping of a letter whose full mapping has several characters:
/// Greek letters with an iota below have one.
fn titled(c: char) -> char {
    let offset = match c {
        'ᾀ'..='ᾇ' | 'ᾐ'..='ᾗ' | 'ᾠ'..='ᾧ' => 8,
        'ᾳ' | 'ῃ' | 'ῳ' => 9,
        _ => 0,
    };
    char::from_u32(u32::from(c) + offset).unwrap_or(c)
}

fn single(mut mapping: impl Iterator<Item = char>) -> Option<char> {
    let first = mapping.next();
    first.filter(|_| mapping.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::{push_lowercase, push_uppercase};

    #[test]
    fn each_character_maps_to_one() {
        for (text, lower, upper) in [
            ("aZ9-", "az9-", "AZ9-"),
            ("Straße ẞ", "straße ß", "STRAßE ẞ"),
            ("ΟΔΟΣ ς", "οδοσ ς", "ΟΔΟΣ Σ"),
            ("İıI", "iıi", "İII"),
            ("ᾀᾈᾳῼǰŉﬁ", "ᾀᾀᾳῳǰŉﬁ", "ᾈᾈᾼῼǰŉﬁ"),
            ("ǅ", "ǆ", "Ǆ"),
            ("K", "k", "K"),
        ] {
            let (mut lowered, mut uppered) = (String::new(), String::new());
            push_lowercase(text, &mut lowered);
            push_uppercase(text, &mut uppered);
            assert_eq!((lowered.as_str(), uppered.as_str()), (lower, upper), "{text}");
        }
    }
}
