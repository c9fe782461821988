//! Paths of file discovery, whose last part may be a pattern.
//!
//! Patterns are those of Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a]` and `\` before a
//! character. `*` also matches a leading dot.

use std::io;
use std::path::{Path, PathBuf};

/// Returns the existing paths that a path with a pattern stands for, sorted. A path without a
/// pattern is returned if something has its name, even a broken link.
///
/// # Errors
/// The error of reading the directory; one that does not exist has no files.
pub(super) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains(['*', '?', '[', '\\']) {
        let exists = path.symlink_metadata().is_ok();
        return Ok(if exists { vec![path.to_owned()] } else { Vec::new() });
    }
    let Some(pattern) = Pattern::parse(name) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "invalid pattern"));
    };
    let dir = directory(path);
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| pattern.matches(name)) {
            paths.push(path.with_file_name(name));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Returns the directory of a path, not empty.
pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Part of a pattern.
#[derive(Debug)]
enum Token {
    Any,
    One,
    Char(char),
    Class { is_negated: bool, ranges: Vec<(char, char)> },
}

#[derive(Debug)]
struct Pattern(Vec<Token>);

impl Pattern {
    /// Returns `None` if the pattern is malformed.
    fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars().peekable();
        let mut tokens = Vec::new();
        while let Some(char) = chars.next() {
            tokens.push(match char {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => Token::Char(chars.next()?),
                '[' => class(&mut chars)?,
                char => Token::Char(char),
            });
        }
        Some(Self(tokens))
    }

    /// Backtracks only to the last `*`, so the cost is at most the product of the lengths.
    fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut token) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            let is_match = self.0.get(token).is_some_and(|token| token.matches(name[at]));
            if matches!(self.0.get(token), Some(Token::Any)) {
                star = Some((at, token));
                token += 1;
            } else if is_match {
                at += 1;
                token += 1;
            } else if let Some((from, any)) = star {
                star = Some((from + 1, any));
                at = from + 1;
                token = any + 1;
            } else {
                return false;
            }
        }
        self.0[token..].iter().all(|token| matches!(token, Token::Any))
    }
}

impl Token {
    /// Returns `true` if this part, which is not `*`, matches a character.
    fn matches(&self, char: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Char(own) => *own == char,
            Self::Class { is_negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&char)) != *is_negated
            }
        }
    }
}

/// Parses a class whose `[` has been read.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let is_negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Some(Token::Class { is_negated, ranges });
        }
        let low = class_char(chars)?;
        let is_range = chars.next_if_eq(&'-').is_some();
        ranges.push((low, if is_range { class_char(chars)? } else { low }));
    }
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        char => Some(char),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, list};
    use std::fs;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expected) in [
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
            let parsed = Pattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.matches(name), expected, "{pattern} on {name}");
        }
        for malformed in ["[", "[a", "[]", "[a-]", "[-a]", "a\\"] {
            assert!(Pattern::parse(malformed).is_none(), "{malformed}");
        }
    }

    #[test]
    fn many_stars_cost_no_exponential_time() {
        let pattern = Pattern::parse(&"*a".repeat(50)).expect("a pattern");
        assert!(!pattern.matches(&("a".repeat(200) + "b")));
    }

    #[test]
    fn existing_files_are_listed_in_order() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["g2.json", "g1.json", ".g0.json", "other.json"] {
            fs::write(dir.path().join(name), "[]").expect("a file");
        }
        std::os::unix::fs::symlink("nowhere", dir.path().join("link.json")).expect("a link");
        let names = |pattern: &str| -> Vec<String> {
            let paths = list(&dir.path().join(pattern)).expect("a list");
            let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
            names.map(str::to_owned).collect()
        };
        assert_eq!(names("g*.json"), ["g1.json", "g2.json"]);
        assert_eq!(names("*g?.json"), [".g0.json", "g1.json", "g2.json"]);
        assert_eq!(names("other.json"), ["other.json"]);
        assert_eq!(names("link.json"), ["link.json"]);
        assert_eq!(names("absent.json"), [""; 0]);
        assert_eq!(names("absent/*.json"), [""; 0]);
        assert!(list(&dir.path().join("[.json")).is_err());
    }
}
