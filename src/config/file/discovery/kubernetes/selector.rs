//! Syntax of label and field selectors.
//!
//! Source: Kubernetes' apimachinery, `pkg/labels/selector.go` and `pkg/fields/selector.go`. The
//! text is sent to the server as it is; here it is only checked.

use std::fmt;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Maximum length of a name or value of a label, bytes.
const MAX_NAME: usize = 63;
/// Maximum length of the prefix of a label name, bytes.
const MAX_PREFIX: usize = 253;

/// Error of a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SelectorError {
    /// Another part was expected.
    #[error("invalid label selector: found {found}, expected {expected}")]
    Unexpected { found: Token, expected: &'static str },
    /// Not a name of a label.
    #[error("invalid label selector: {name:?} is not a label name")]
    Name { name: String },
    /// Not a value of a label.
    #[error("invalid label selector: {value:?} is not a label value")]
    Value { value: String },
    /// A comparison with something that is no integer.
    #[error("invalid label selector: {value:?} is not an integer")]
    Integer { value: String },
    /// A set without values.
    #[error("invalid label selector: in and notin need a value")]
    EmptySet,
    /// A term without an operator.
    #[error("invalid field selector: {term:?} has no operator =, == or !=")]
    Term { term: String },
    /// A value with an unknown escape sequence, or a sign that needs one.
    #[error(
        "invalid field selector: value {value:?} needs a backslash before \\, = and comma only"
    )]
    Escape { value: String },
}

/// Part of a label selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Name or value, and the words `in` and `notin`.
    Word(String),
    /// Operator or sign, from [`OPERATORS`].
    Operator(&'static str),
    End,
}

/// Operators and signs, the longer ones of equal beginnings first.
const OPERATORS: [&str; 9] = ["!=", "==", "=", "!", "(", ")", ",", ">", "<"];

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) => write!(f, "{text:?}"),
            Self::Operator(text) => write!(f, "{text:?}"),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Checks a label selector, such as `a=b,c!=d,e in (f,g),!h`.
pub(super) fn check_labels(text: &str) -> Result<(), SelectorError> {
    let mut tokens = Tokens(tokens(text).into_iter().peekable());
    let is_start = |token: &Token| matches!(token, Token::Word(_) | Token::Operator("!"));
    loop {
        match tokens.peek() {
            Token::End => return Ok(()),
            token if is_start(&token) => requirement(&mut tokens)?,
            found => return Err(unexpected(found, "a name, ! or the end")),
        }
        match tokens.next() {
            Token::End => return Ok(()),
            Token::Operator(",") => {
                let next = tokens.peek();
                if !is_start(&next) {
                    return Err(unexpected(next, "a name after the comma"));
                }
            }
            found => return Err(unexpected(found, "a comma or the end")),
        }
    }
}

struct Tokens(Peekable<IntoIter<Token>>);

impl Tokens {
    fn peek(&mut self) -> Token {
        self.0.peek().cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        self.0.next().unwrap_or(Token::End)
    }
}

fn unexpected(found: Token, expected: &'static str) -> SelectorError {
    SelectorError::Unexpected { found, expected }
}

fn tokens(text: &str) -> Vec<Token> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let is_sign = |c: char| matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<');
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let word = rest.find(|c| is_space(c) || is_sign(c)).unwrap_or(rest.len());
        let length = if word > 0 {
            found.push(Token::Word(rest[..word].to_owned()));
            word
        } else {
            // Every sign is an operator.
            let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
            let Some(operator) = operator else { break };
            found.push(Token::Operator(operator));
            operator.len()
        };
        rest = rest[length..].trim_start_matches(is_space);
    }
    found
}

fn requirement(tokens: &mut Tokens) -> Result<(), SelectorError> {
    let is_absence = tokens.peek() == Token::Operator("!");
    if is_absence {
        tokens.next();
    }
    let name = match tokens.next() {
        Token::Word(name) => name,
        found => return Err(unexpected(found, "a name")),
    };
    if !is_label_name(&name) {
        return Err(SelectorError::Name { name });
    }
    if is_absence || matches!(tokens.peek(), Token::End | Token::Operator(",")) {
        return Ok(());
    }
    match tokens.next() {
        Token::Word(word) if word == "in" || word == "notin" => {
            set(tokens)?.iter().try_for_each(|value| check_value(value))
        }
        Token::Operator("=" | "==" | "!=") => check_value(&exact_value(tokens)?),
        Token::Operator("<" | ">") => {
            let value = exact_value(tokens)?;
            if value.parse::<i64>().is_err() {
                return Err(SelectorError::Integer { value });
            }
            check_value(&value)
        }
        found => Err(unexpected(found, "an operator")),
    }
}

/// Reads the value of a comparison, which may be empty.
fn exact_value(tokens: &mut Tokens) -> Result<String, SelectorError> {
    if matches!(tokens.peek(), Token::End | Token::Operator(",")) {
        return Ok(String::new());
    }
    match tokens.next() {
        Token::Word(value) => Ok(value),
        found => Err(unexpected(found, "a value")),
    }
}

/// Reads values in parentheses, which may be empty.
fn set(tokens: &mut Tokens) -> Result<Vec<String>, SelectorError> {
    match tokens.next() {
        Token::Operator("(") => {}
        found => return Err(unexpected(found, "\"(\"")),
    }
    if tokens.peek() == Token::Operator(")") {
        return Err(SelectorError::EmptySet);
    }
    let mut values = Vec::new();
    loop {
        match tokens.next() {
            Token::Word(value) => {
                values.push(value);
                match tokens.peek() {
                    Token::Operator(",") => {}
                    Token::Operator(")") => break,
                    found => return Err(unexpected(found, "a comma or \")\"")),
                }
            }
            Token::Operator(",") => match tokens.peek() {
                Token::Operator(")") => break,
                Token::Operator(",") => drop(tokens.next()),
                _ => {}
            },
            found => return Err(unexpected(found, "a value or a comma")),
        }
    }
    tokens.next();
    Ok(values)
}

fn check_value(value: &str) -> Result<(), SelectorError> {
    if value.is_empty() || is_name(value, MAX_NAME) {
        return Ok(());
    }
    Err(SelectorError::Value { value: value.to_owned() })
}

/// Returns `true` for `name` and `prefix/name`.
fn is_label_name(text: &str) -> bool {
    match text.split_once('/') {
        None => is_name(text, MAX_NAME),
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name, MAX_NAME),
    }
}

/// Returns `true` if the text has letters, digits and `-_.`, and a letter or digit at both ends.
fn is_name(text: &str, max: usize) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= max && text.bytes().all(is_inner) && has_alphanumeric_ends(text)
}

fn is_subdomain(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= MAX_PREFIX
        && text.split('.').all(|part| part.bytes().all(is_inner) && has_alphanumeric_ends(part))
}

fn has_alphanumeric_ends(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

/// Checks a field selector, such as `spec.nodeName=n1,status.phase!=Failed`.
pub(super) fn check_fields(text: &str) -> Result<(), SelectorError> {
    for term in terms(text).into_iter().filter(|term| !term.is_empty()) {
        let operators = ["!=", "==", "="];
        let found = (0..term.len()).find_map(|at| {
            let rest = term.as_bytes().get(at..)?;
            let operator = operators.iter().find(|op| rest.starts_with(op.as_bytes()))?;
            term.get(at + operator.len()..)
        });
        let Some(value) = found else {
            return Err(SelectorError::Term { term: term.to_owned() });
        };
        if !is_escaped(value) {
            return Err(SelectorError::Escape { value: value.to_owned() });
        }
    }
    Ok(())
}

/// Splits a selector at the commas without a backslash.
fn terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut is_escape) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        if is_escape {
            is_escape = false;
        } else if byte == b'\\' {
            is_escape = true;
        } else if byte == b',' {
            terms.push(&text[start..at]);
            start = at + 1;
        }
    }
    terms.push(&text[start..]);
    terms
}

fn is_escaped(value: &str) -> bool {
    let mut is_escape = false;
    for byte in value.bytes() {
        let is_special = matches!(byte, b'\\' | b',' | b'=');
        if is_escape {
            if !is_special {
                return false;
            }
            is_escape = false;
        } else if byte == b'\\' {
            is_escape = true;
        } else if is_special {
            return false;
        }
    }
    !is_escape
}

#[cfg(test)]
mod tests {
    use super::{check_fields, check_labels};
    use proptest::prelude::{any, proptest};

    #[test]
    fn label_selectors_are_checked_as_in_kubernetes() {
        for text in [
            "",
            " ",
            "a",
            "!a",
            "a=b",
            "a == b",
            "a!=b,c = d",
            "a=",
            "a=,b",
            "a in (b, c),!d,e notin (f)",
            "a in (,b,)",
            "a in (b,,c)",
            "in in (in)",
            "a=in",
            "x>5,y < 1",
            "example.com/name=v_a.l-ue",
            "a in (b)\n",
        ] {
            assert_eq!(check_labels(text), Ok(()), "{text:?}");
        }
        for (text, expected) in [
            ("a=b==c,,", "found \"==\", expected a comma or the end"),
            ("a,", "found the end, expected a name after the comma"),
            (",a", "found \",\", expected a name, ! or the end"),
            ("!", "found the end, expected a name"),
            ("!a=b", "found \"=\", expected a comma or the end"),
            ("a b", "found \"b\", expected an operator"),
            ("a in b", "found \"b\", expected \"(\""),
            ("a in (b,,)", "found \")\", expected a value or a comma"),
            ("a<-1", "\"-1\" is not a label value"),
            ("a in (b", "found the end, expected a comma or \")\""),
            ("a in (b c)", "found \"c\", expected a comma or \")\""),
            ("a in ()", "in and notin need a value"),
            ("a>b", "\"b\" is not an integer"),
            ("a=b/c", "\"b/c\" is not a label value"),
            ("-a=b", "\"-a\" is not a label name"),
            ("a/b/c", "\"a/b/c\" is not a label name"),
            ("/b", "\"/b\" is not a label name"),
            ("A.b/c", "\"A.b/c\" is not a label name"),
            ("ä", "\"ä\" is not a label name"),
        ] {
            let error = check_labels(text).expect_err(text).to_string();
            assert!(error.ends_with(expected), "{text:?}: {error}");
        }
        let long = "a".repeat(64);
        assert!(check_labels(&long[1..]).is_ok() && check_labels(&long).is_err());
    }

    #[test]
    fn field_selectors_are_checked_as_in_kubernetes() {
        for text in
            ["", ",", "a=b", "spec.nodeName==n1,status.phase!=Failed", "a=", "=b", r"a=b\,c\=\\"]
        {
            assert_eq!(check_fields(text), Ok(()), "{text:?}");
        }
        for text in ["metadata.name", "a=b,c", r"a=b\", r"a=\x", "a=b=c", "a==b=c", "a!b"] {
            assert!(check_fields(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_checked_without_panic(text in any::<String>()) {
            let _ = (check_labels(&text), check_fields(&text));
        }

        #[test]
        fn any_signs_are_checked_without_panic(text in r"[a-c!=<>(),\\ ]{0,20}") {
            let _ = (check_labels(&text), check_fields(&text));
        }
    }
}
