//! PromQL series selectors: `up{job="node", path=~"/a.*"}`, `{"a name with dots", x!=""}`.
//!
//! Source: the grammar of Prometheus's `promql/parser`; strings as in its `util/strutil/quote.go`.

use crate::model::labels::METRIC_NAME;
use crate::model::matcher::{MatchType, Matcher};
use crate::promql::parse_error::{Position, SelectorError};

/// Parses a selector that must not select every series.
///
/// # Errors
/// [`SelectorError`] if the selector is invalid or matches every series.
pub(crate) fn parse(text: &str) -> Result<Vec<Matcher>, SelectorError> {
    let matchers = parse_unrestricted(text)?;
    if match_everything(&matchers) { Err(SelectorError::Everything) } else { Ok(matchers) }
}

/// Parses a selector, even if it selects every series.
///
/// # Errors
/// [`SelectorError`] if the selector is invalid.
pub(crate) fn parse_unrestricted(text: &str) -> Result<Vec<Matcher>, SelectorError> {
    let mut parser = SelectorParser::new(text);
    let matchers = parser.selector()?;
    parser.skip_blanks();
    if !parser.is_at_end() {
        return Err(parser.error(""));
    }
    Ok(matchers)
}

/// Returns `true` if these matchers match every series.
pub(super) fn match_everything(matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(""))
}

/// Parser with a position in a text.
#[derive(Debug)]
pub(super) struct SelectorParser<'a> {
    text: &'a str,
    pub(super) at: usize,
    in_braces: bool,
}

impl<'a> SelectorParser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, in_braces: false }
    }

    /// Parses a selector: a name, matchers in braces, or both.
    pub(super) fn selector(&mut self) -> Result<Vec<Matcher>, SelectorError> {
        let mut matchers = Vec::new();
        self.skip_blanks();
        if let Some(name) = self.identifier(|b| b == b':') {
            matchers.push(self.new_matcher(MatchType::Equal, METRIC_NAME, name, self.at)?);
        }
        self.skip_blanks();
        if matchers.is_empty() || self.rest().starts_with('{') {
            self.expect("{", "")?;
            self.in_braces = true;
            self.braces(&mut matchers)?;
            self.in_braces = false;
        }
        Ok(matchers)
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Returns the error of an unexpected token. `expected` is empty if it cannot be named.
    pub(super) fn error(&self, expected: &str) -> SelectorError {
        let problem = match (self.rest().chars().next(), self.in_braces) {
            (None, true) => return self.error_at(self.at, "unexpected end of input inside braces"),
            (Some('}'), false) => return self.error_at(self.at, "unexpected character: '}'"),
            (None, false) => "unexpected end of input".to_owned(),
            (Some(next), in_braces) => {
                let context = if in_braces { " in label matching" } else { "" };
                format!("unexpected {}{context}", self.describe_token(next))
            }
        };
        if expected.is_empty() {
            self.error_at(self.at, &problem)
        } else {
            self.error_at(self.at, &format!("{problem}, expected {expected}"))
        }
    }

    /// Returns an error at an offset in bytes.
    pub(super) fn error_at(&self, offset: usize, problem: &str) -> SelectorError {
        SelectorError::Syntax {
            position: Position::of(self.text, offset),
            problem: problem.to_owned(),
        }
    }

    /// Describes the token that starts with `next`, as Prometheus does.
    fn describe_token(&self, next: char) -> String {
        let mut rest = Self { text: self.text, at: self.at, in_braces: self.in_braces };
        match rest.identifier(|b| b == b':') {
            Some("offset") => "<offset>".to_owned(),
            Some(name) => format!("identifier {name:?}"),
            None if next == '@' => "<op:@>".to_owned(),
            None => format!("{:?}", next.to_string()),
        }
    }

    fn new_matcher(
        &self,
        kind: MatchType,
        name: &str,
        value: &str,
        offset: usize,
    ) -> Result<Matcher, SelectorError> {
        Matcher::new(kind, name, value).map_err(|error| self.error_at(offset, &error.to_string()))
    }

    /// Skips blanks, and comments from `#` to the end of the line.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest().trim_start_matches([' ', '\t', '\n', '\r']);
            let comment =
                if rest.starts_with('#') { rest.find('\n').unwrap_or(rest.len()) } else { 0 };
            self.at = self.text.len() - rest.len() + comment;
            if comment == 0 {
                return;
            }
        }
    }

    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &str, expected: &str) -> Result<(), SelectorError> {
        if self.eat(token) { Ok(()) } else { Err(self.error(expected)) }
    }

    /// Parses the matchers after the opening brace, and the closing brace.
    fn braces(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), SelectorError> {
        loop {
            self.skip_blanks();
            if self.eat("}") {
                return Ok(());
            }
            matchers.push(self.matcher()?);
            self.skip_blanks();
            if !self.eat(",") {
                return self.expect("}", "\",\" or \"}\"");
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let start = self.at;
        let (name, quoted) = match self.identifier(|_| false) {
            Some(name) => (name.to_owned(), false),
            None => (self.string("identifier or \"}\"")?, true),
        };
        self.skip_blanks();
        let kind = match () {
            () if self.eat("=~") => MatchType::Regex,
            () if self.eat("!~") => MatchType::NotRegex,
            () if self.eat("!=") => MatchType::NotEqual,
            () if self.eat("=") => MatchType::Equal,
            // A quoted name without an operator is the metric name.
            () if quoted => return self.new_matcher(MatchType::Equal, METRIC_NAME, &name, start),
            () => return Err(self.error("label matching operator")),
        };
        self.skip_blanks();
        let value = self.string("string")?;
        self.new_matcher(kind, &name, &value, start)
    }

    /// Parses `[a-zA-Z_][a-zA-Z0-9_]*`; `also` accepts further bytes as letters.
    pub(super) fn identifier(&mut self, also: fn(u8) -> bool) -> Option<&'a str> {
        let rest = self.rest();
        let len =
            rest.bytes().take_while(|&b| b.is_ascii_alphanumeric() || b == b'_' || also(b)).count();
        if len == 0 || rest.as_bytes()[0].is_ascii_digit() {
            return None;
        }
        self.at += len;
        Some(&rest[..len])
    }

    /// Parses a quoted string with Go's escapes; backquotes have no escapes.
    pub(super) fn string(&mut self, expected: &str) -> Result<String, SelectorError> {
        let Some(quote @ ('"' | '\'' | '`')) = self.rest().chars().next() else {
            return Err(self.error(expected));
        };
        self.at += 1;
        let mut value = Vec::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(self.error("the closing quote"));
            };
            self.at += c.len_utf8();
            match c {
                _ if c == quote => {
                    return String::from_utf8(value).map_err(|_| self.error("valid UTF-8"));
                }
                '\\' if quote != '`' => self.escape(&mut value)?,
                _ => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    /// Parses the escape after a backslash.
    fn escape(&mut self, value: &mut Vec<u8>) -> Result<(), SelectorError> {
        let Some(c) = self.rest().chars().next() else {
            return Err(self.error("an escape"));
        };
        self.at += c.len_utf8();
        match c {
            'a' => value.push(0x07),
            'b' => value.push(0x08),
            'f' => value.push(0x0c),
            'n' => value.push(b'\n'),
            'r' => value.push(b'\r'),
            't' => value.push(b'\t'),
            'v' => value.push(0x0b),
            '\\' | '\'' | '"' => value.push(c as u8),
            'x' => value.push(self.digits(2, 16)? as u8),
            '0'..='7' => {
                self.at -= 1;
                let byte = self.digits(3, 8)?;
                value.push(u8::try_from(byte).map_err(|_| self.error("an octal byte"))?);
            }
            'u' | 'U' => {
                let code = self.digits(if c == 'u' { 4 } else { 8 }, 16)?;
                let c = char::from_u32(code).ok_or_else(|| self.error("a Unicode character"))?;
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(self.error("a known escape")),
        }
        Ok(())
    }

    fn digits(&mut self, count: usize, radix: u32) -> Result<u32, SelectorError> {
        let digits =
            self.rest().get(..count).filter(|digits| digits.chars().all(|c| c.is_digit(radix)));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok());
        let number = number.ok_or_else(|| self.error("digits"))?;
        self.at += count;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::model::matcher::MatchType::{Equal, NotEqual, NotRegex, Regex};
    use crate::model::matcher::{MatchType, Matcher};
    use crate::promql::parse_error::SelectorError;

    fn read(text: &str) -> Vec<(MatchType, String, String)> {
        let parts = |m: &Matcher| (m.kind(), m.name().to_owned(), m.value().to_owned());
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).iter().map(parts).collect()
    }

    fn matcher(kind: MatchType, name: &str, value: &str) -> (MatchType, String, String) {
        (kind, name.to_owned(), value.to_owned())
    }

    #[test]
    fn selectors_are_parsed_as_in_promql() {
        assert_eq!(read("up"), [matcher(Equal, "__name__", "up")]);
        assert_eq!(read(" job:up:sum { } "), [matcher(Equal, "__name__", "job:up:sum")]);
        assert_eq!(
            read(r#"up{a="1",b!='2', c =~ "x.*" ,d!~`\d`,}"#),
            [
                matcher(Equal, "__name__", "up"),
                matcher(Equal, "a", "1"),
                matcher(NotEqual, "b", "2"),
                matcher(Regex, "c", "x.*"),
                matcher(NotRegex, "d", r"\d")
            ]
        );
        assert_eq!(
            read(r#"{"a.b", "c d"="é"}"#),
            [matcher(Equal, "__name__", "a.b"), matcher(Equal, "c d", "é")]
        );
        assert_eq!(read("up # a name\n{ # none\n}#"), [matcher(Equal, "__name__", "up")]);
        assert_eq!(read(r#"{a="\n\x41\101\u00e9\"\\"}"#), [matcher(Equal, "a", "\nAAé\"\\")]);
    }

    #[test]
    fn invalid_selector_is_rejected() {
        for text in [
            "",
            "{",
            "{}",
            "up{",
            "up{a}",
            "up{a=}",
            "up{a=1}",
            "up{a=\"1\"",
            "up{a=\"1\"} x",
            "1up",
            "up{a:b=\"1\"}",
            "{a=\"\\q\"}",
            "{a=\"\\xff\"}",
            "{a=\"x}",
            "up{,}",
            "up up",
            "{a=~\"(\"}",
            "{a=\"\"}",
            "{a=\"\\777\"}",
            "{a=\"\\",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(matches!(parse("{a=~\".*\"}"), Err(SelectorError::Everything)));
    }
}
