//! Files that a pattern matches, in the syntax of Go's `filepath.Match`.
//!
//! Only the last part of a path is a pattern: `*` is any text, `?` one character, `[a-z]` and
//! `[^a-z]` one of a class, and `\` takes the next character literally.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Maximum number of entries of a directory.
const MAX_ENTRIES: usize = 1_000_000;

/// Returns the existing files that match, sorted. A missing directory has no files. Without a
/// wildcard, the file is returned if something has its name, even a broken link.
///
/// # Errors
/// The pattern is malformed, or the directory cannot be listed.
pub fn matches(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(name) = pattern.file_name() else { return Ok(Vec::new()) };
    let name = Pattern::new(&name.to_string_lossy())?;
    if let Some(literal) = name.literal() {
        let path = pattern.with_file_name(literal);
        return Ok(if path.symlink_metadata().is_ok() { vec![path] } else { Vec::new() });
    }
    let dir = pattern.parent().unwrap_or(Path::new(""));
    let listed = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = match std::fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries.take(MAX_ENTRIES) {
        let found = entry?.file_name();
        if name.matches(found.as_bytes()) {
            paths.push(dir.join(found));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `*`
    Any,
    /// `?`
    One,
    Char(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Pattern of a file name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(Vec<Token>);

impl Pattern {
    fn new(text: &str) -> io::Result<Self> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidInput, "malformed pattern");
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => Token::Char(chars.next().ok_or_else(malformed)?),
                '[' => class(&mut chars).ok_or_else(malformed)?,
                c => Token::Char(c),
            });
        }
        Ok(Self(tokens))
    }

    /// Returns the only name that matches; `None` if the pattern has wildcards.
    fn literal(&self) -> Option<String> {
        self.0
            .iter()
            .map(|token| match token {
                Token::Char(c) => Some(*c),
                _ => None,
            })
            .collect()
    }

    fn matches(&self, name: &[u8]) -> bool {
        // A name that is no text matches wildcards with its replacement characters.
        let name: Vec<char> = String::from_utf8_lossy(name).chars().collect();
        let (mut token, mut at) = (0, 0);
        // The last `*` and the position up to which it matches: no other one need be retried.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let is_matched = match (self.0.get(token), name.get(at)) {
                (None, None) => return true,
                (Some(Token::Any), _) => {
                    retry = Some((token, at));
                    token += 1;
                    continue;
                }
                (Some(Token::One), Some(_)) => true,
                (Some(Token::Char(expected)), Some(c)) => expected == c,
                (Some(Token::Class { negated, ranges }), Some(c)) => {
                    ranges.iter().any(|(low, high)| (low..=high).contains(&c)) != *negated
                }
                _ => false,
            };
            if is_matched {
                token += 1;
                at += 1;
            } else {
                match retry {
                    Some((star, end)) if end < name.len() => {
                        retry = Some((star, end + 1));
                        token = star + 1;
                        at = end + 1;
                    }
                    _ => return false,
                }
            }
        }
    }
}

/// Parses a class after its opening bracket.
fn class(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let mut rest = chars.clone();
    let negated = rest.next() == Some('^');
    if negated {
        *chars = rest;
    }
    let mut ranges = Vec::new();
    loop {
        let mut after = chars.clone();
        if after.next()? == ']' && !ranges.is_empty() {
            *chars = after;
            return Some(Token::Class { negated, ranges });
        }
        let low = class_char(chars)?;
        let mut after = chars.clone();
        let high = if after.next() == Some('-') {
            *chars = after;
            class_char(chars)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut std::str::Chars<'_>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, matches};

    #[test]
    fn names_match_like_go() {
        for (pattern, name, expected) in [
            ("a.yml", "a.yml", true),
            ("a.yml", "a.yaml", false),
            ("*", "", true),
            ("*.json", ".json", true),
            ("*.json", "a.b.json", true),
            ("*.json", "a.jso", false),
            ("a*b*c", "axbxbc", true),
            ("a*b*c", "axbxb", false),
            ("**a", "ba", true),
            ("?", "é", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[a\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*.yml", "a.yml", true),
            ("*.yml", ".yml", true),
            ("*.yml", "a.yml.new", false),
            ("a*b*.json", "axbxb.json", true),
            ("a*b*.json", "axx.json", false),
            ("?.json", "ü.json", true),
            ("?.json", ".json", false),
            ("[a-c]x.json", "bx.json", true),
            ("[a-c]x.json", "dx.json", false),
            ("[^a-c]x.json", "dx.json", true),
            (r"\*.json", "*.json", true),
            (r"\*.json", "a.json", false),
            ("**", "", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(name.as_bytes()),
                expected,
                "{pattern}"
            );
        }
        for malformed in ["[", "[]", "[a", "[a-]", "[-a]", "a\\", "[^]"] {
            assert!(Pattern::new(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn many_wildcards_match_in_reasonable_time() {
        let pattern = Pattern::new(&"*a".repeat(200)).unwrap();
        assert!(!pattern.matches(&[b'a'; 100]));
        let pattern_of_50 = Pattern::new(&"*a".repeat(50)).unwrap();
        assert!(!pattern_of_50.matches(("a".repeat(200) + "b").as_bytes()));
        assert!(pattern.matches(&[b'a'; 200]));
    }

    #[test]
    fn existing_files_are_listed_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yml", "c.json", ".g0.json", "g1.json"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", dir.path().join("link.json")).unwrap();
        let list = |pattern: &str| {
            let paths = matches(&dir.path().join(pattern)).unwrap();
            let names = paths.iter().map(|path| path.strip_prefix(dir.path()).unwrap());
            names.map(|name| name.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(list("*.yml"), ["a.yml", "b.yml"]);
        assert_eq!(list("c.json"), ["c.json"]);
        assert_eq!(list("*g?.json"), [".g0.json", "g1.json"]);
        assert_eq!(list("link.json"), ["link.json"]);
        assert_eq!(list("d.json"), [""; 0]);
        assert_eq!(list("none/*.yml"), [""; 0]);
        assert!(matches(&dir.path().join("[")).is_err());
    }
}
