//! Scanner of Rust source for the architecture rules: tokens, modules, paths.
//!
//! This is not a parser: it removes comments and literals, splits the rest into tokens, and expands
//! paths from `crate`, `super` or `narthex` through the groups of a `use`.

use std::ops::Range;

/// Absolute path that a file names: `["tsdb", "wal", "Record"]`.
#[derive(Debug, PartialEq)]
pub(crate) struct Named {
    /// Path segments after `crate`.
    pub(crate) path: Vec<String>,
    /// Whether only test code uses the path.
    pub(crate) in_tests: bool,
}

/// Splits source into tokens, without comments and contents of literals.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (end, token) = token_at(&chars, at);
        tokens.extend(token);
        at = end;
    }
    tokens
}

/// Returns the end of the item at `at`, and the token unless it is blank, a comment or a literal.
fn token_at(chars: &[char], at: usize) -> (usize, Option<String>) {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => (find(chars, at, |c| c == '\n'), None),
        '/' if next == Some('*') => (block_comment_end(chars, at), None),
        '"' => (string_end(chars, at + 1), None),
        'r' | 'b' | 'c' if literal_prefix(chars, at).is_some() => {
            (literal_prefix(chars, at).unwrap_or(at + 1), None)
        }
        '\'' => (char_or_lifetime_end(chars, at), None),
        c if is_word(c) => {
            let end = find(chars, at, |c| !is_word(c));
            (end, Some(chars[at..end].iter().collect()))
        }
        ':' if next == Some(':') => (at + 2, Some("::".to_owned())),
        c if c.is_whitespace() => (at + 1, None),
        c => (at + 1, Some(c.to_string())),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|&at| stop(chars[at])).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// Returns the end of the string whose contents start at `at`.
fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// Returns the end of a raw, byte or C string (or byte) at `at`, if there is one.
fn literal_prefix(chars: &[char], at: usize) -> Option<usize> {
    if at > 0 && is_word(chars[at - 1]) {
        return None;
    }
    let prefix = chars[at..].iter().take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
    let raw = chars[at..at + prefix].contains(&'r');
    let hashes = chars[at + prefix..].iter().take_while(|&&c| c == '#').count();
    let open = at + prefix + hashes;
    match chars.get(open) {
        Some('"') if raw => Some(raw_end(chars, open + 1, hashes)),
        Some('"') if hashes == 0 => Some(string_end(chars, open + 1)),
        Some('\'') if hashes == 0 && chars[at] == 'b' && prefix == 1 => {
            Some(char_or_lifetime_end(chars, open))
        }
        _ => None,
    }
}

fn raw_end(chars: &[char], from: usize, hashes: usize) -> usize {
    let closes = |&at: &usize| {
        chars[at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    (from..chars.len()).find(closes).map_or(chars.len(), |at| at + 1 + hashes)
}

/// Returns the position after a character literal or the quote of a lifetime.
fn char_or_lifetime_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => find(chars, at + 3, |c| c == '\'') + 1,
        (_, Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// Returns the paths of this crate in a file; `module` is the module path of the file.
pub(crate) fn named_paths(tokens: &[String], module: &[String]) -> Vec<Named> {
    let mut scopes = Scopes { module: module.to_vec(), open: Vec::new(), depth: 0 };
    let test_items = test_items(tokens);
    let mut named = Vec::new();
    for at in 0..tokens.len() {
        scopes.step(tokens, at);
        let is_start = at == 0 || tokens[at - 1] != "::";
        if !is_start || tokens.get(at + 1).map(String::as_str) != Some("::") {
            continue;
        }
        let base = match tokens[at].as_str() {
            "crate" | "narthex" => Some(Vec::new()),
            "super" => Some(scopes.parent()),
            "self" => Some(scopes.current()),
            _ => None,
        };
        let Some(base) = base else { continue };
        let mut paths = Vec::new();
        follow(tokens, at + 2, base, &mut paths);
        let in_tests = test_items.iter().any(|item| item.contains(&at));
        named.extend(paths.into_iter().map(|path| Named { path, in_tests }));
    }
    named
}

/// Returns the tokens outside of items for tests.
pub(crate) fn tokens_outside_tests(tokens: &[String]) -> Vec<&str> {
    let test_items = test_items(tokens);
    let is_outside = |at: &usize| !test_items.iter().any(|item| item.contains(at));
    (0..tokens.len()).filter(is_outside).map(|at| tokens[at].as_str()).collect()
}

/// Returns the token ranges of the items and statements that only tests have: those with the
/// attribute `#[cfg(test)]` or `#[cfg(feature = "testing")]`. The package has no other feature.
pub(crate) fn test_items(tokens: &[String]) -> Vec<Range<usize>> {
    let conditions: [&[&str]; 2] =
        [&["cfg", "(", "test", ")", "]"], &["cfg", "(", "feature", "=", ")", "]"]];
    let starts = (0..tokens.len()).filter_map(|at| {
        let found = conditions.iter().find(|condition| starts_with(&tokens[at..], condition))?;
        Some(at + found.len())
    });
    starts.map(|start| start..item_end(tokens, start)).collect()
}

fn starts_with(tokens: &[String], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token == word)
}

/// Returns the position after the item or statement at `start`: after its block or semicolon, or at
/// the end of the block around it.
fn item_end(tokens: &[String], start: usize) -> usize {
    let mut depth = 0i32;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth < 0 || depth == 0 && (token == ";" || token == "}") {
            return at + 1;
        }
    }
    tokens.len()
}

/// Parses a path and its groups from `at`. Returns the position after it.
fn follow(
    tokens: &[String],
    at: usize,
    mut path: Vec<String>,
    paths: &mut Vec<Vec<String>>,
) -> usize {
    let mut at = at;
    loop {
        let Some(token) = tokens.get(at) else { return at };
        if token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|token| token != "}") {
                let next = follow(tokens, at, path.clone(), paths);
                at = if tokens.get(next).is_some_and(|token| token == ",") {
                    next + 1
                } else {
                    next.max(at + 1)
                };
            }
            return at + 1;
        }
        match token.as_str() {
            "super" => drop(path.pop()),
            "self" | "*" => {}
            word => path.push(word.to_owned()),
        }
        at += 1;
        if tokens.get(at).map(String::as_str) == Some("::") {
            at += 1;
            continue;
        }
        if tokens.get(at).map(String::as_str) == Some("as") {
            at += 2;
        }
        paths.push(path);
        return at;
    }
}

/// Open inline modules during the scan of a file.
struct Scopes {
    module: Vec<String>,
    open: Vec<Scope>,
    depth: usize,
}

struct Scope {
    name: String,
    depth: usize,
}

impl Scopes {
    fn step(&mut self, tokens: &[String], at: usize) {
        match tokens[at].as_str() {
            "{" => {
                self.depth += 1;
                if at >= 2 && tokens[at - 2] == "mod" {
                    self.open.push(Scope { name: tokens[at - 1].clone(), depth: self.depth });
                }
            }
            "}" => {
                if self.open.last().is_some_and(|scope| scope.depth == self.depth) {
                    self.open.pop();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn current(&self) -> Vec<String> {
        self.module
            .iter()
            .cloned()
            .chain(self.open.iter().map(|scope| scope.name.clone()))
            .collect()
    }

    fn parent(&self) -> Vec<String> {
        let mut path = self.current();
        path.pop();
        path
    }
}
