//! Extent and value of strings: in double or single quotes with escapes, or in backquotes without.

use super::cursor::Cursor;
use super::token::TokenKind;
use crate::promql::ast::string::StringValue;
use crate::promql::error::lexical::LexicalError;

/// Skips a string behind its opening quote, and checks its escapes.
pub(super) fn scan(cursor: &mut Cursor<'_>, quote: char) -> Result<TokenKind, LexicalError> {
    let is_raw = quote == '`';
    loop {
        match cursor.bump() {
            Some(c) if c == quote => return Ok(TokenKind::String),
            Some('\\') if !is_raw => {
                escape(cursor, quote)?;
            }
            Some(char::REPLACEMENT_CHARACTER) => return Err(LexicalError::InvalidUtf8),
            None if is_raw => return Err(LexicalError::UnterminatedRawString),
            None | Some('\n') if !is_raw => return Err(LexicalError::UnterminatedString),
            _ => {}
        }
    }
}

/// Value of an escape.
enum Escape {
    Byte(u8),
    Char(char),
}

/// Reads an escape behind its backslash.
fn escape(cursor: &mut Cursor<'_>, quote: char) -> Result<Escape, LexicalError> {
    let Some(c) = cursor.bump() else { return Err(LexicalError::UnterminatedEscape) };
    Ok(Escape::Byte(match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        _ if c == quote => quote as u8,
        'x' => return byte(digits(cursor, 0, 2, 16)?),
        'u' => return character(digits(cursor, 0, 4, 16)?),
        'U' => return character(digits(cursor, 0, 8, 16)?),
        '0'..='7' => return byte(digits(cursor, u32::from(c) - u32::from('0'), 2, 8)?),
        _ => return Err(LexicalError::UnknownEscape(c)),
    }))
}

fn byte(code: u32) -> Result<Escape, LexicalError> {
    u8::try_from(code).map(Escape::Byte).map_err(|_| LexicalError::CodePoint)
}

fn character(code: u32) -> Result<Escape, LexicalError> {
    char::from_u32(code).map(Escape::Char).ok_or(LexicalError::CodePoint)
}

/// Reads exactly `count` more digits of a number.
fn digits(
    cursor: &mut Cursor<'_>,
    mut number: u32,
    count: u32,
    radix: u32,
) -> Result<u32, LexicalError> {
    for _ in 0..count {
        let c = cursor.bump().ok_or(LexicalError::UnterminatedEscape)?;
        let digit = c.to_digit(radix).ok_or(LexicalError::EscapeDigit(c))?;
        number = number.wrapping_mul(radix).wrapping_add(digit);
    }
    Ok(number)
}

/// Returns the value of a string that [`scan`] accepted, from its text with quotes.
pub(in crate::promql) fn unquote(text: &[u8]) -> StringValue {
    let Some((&quote, rest)) = text.split_first() else { return StringValue::default() };
    let inner = &rest[..rest.len().saturating_sub(1)];
    if quote == b'`' || !inner.contains(&b'\\') {
        return StringValue::from(inner);
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut cursor = Cursor::new(inner);
    while let Some(byte) = cursor.peek_byte() {
        cursor.back_to(cursor.offset() + 1);
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        match escape(&mut cursor, char::from(quote)) {
            Ok(Escape::Byte(byte)) => value.push(byte),
            Ok(Escape::Char(c)) => {
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            // The lexer rejected such strings.
            Err(_) => break,
        }
    }
    StringValue::from(value)
}

#[cfg(test)]
mod tests {
    use super::super::cursor::Cursor;
    use super::{scan, unquote};
    use crate::promql::error::lexical::LexicalError;

    fn value(text: &str) -> Result<Vec<u8>, LexicalError> {
        let mut cursor = Cursor::new(text.as_bytes());
        let quote = cursor.bump().expect("a quote");
        scan(&mut cursor, quote)?;
        assert_eq!(cursor.offset(), text.len());
        Ok(unquote(text.as_bytes()).as_bytes().to_vec())
    }

    #[test]
    fn escapes_are_those_of_go() {
        for (text, expected) in [
            (r#""""#, &b""[..]),
            (r#""a'b\"\\""#, b"a'b\"\\"),
            (r"'a\'b'", b"a'b"),
            (r#""\a\b\f\n\r\t\v""#, b"\x07\x08\x0c\n\r\t\x0b"),
            (r#""\x41\101\xff\377\u00e9\U0001F525""#, b"AA\xff\xff\xc3\xa9\xf0\x9f\x94\xa5"),
            ("`a\\n\nb`", b"a\\n\nb"),
            ("'é'", "é".as_bytes()),
        ] {
            assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn malformed_string_is_rejected() {
        for (text, expected) in [
            ("\"a", LexicalError::UnterminatedString),
            ("'a\n'", LexicalError::UnterminatedString),
            ("`a", LexicalError::UnterminatedRawString),
            ("\"\\", LexicalError::UnterminatedEscape),
            ("\"\\x4", LexicalError::UnterminatedEscape),
            ("\"\\q\"", LexicalError::UnknownEscape('q')),
            ("\"\\'\"", LexicalError::UnknownEscape('\'')),
            ("\"\\x4g\"", LexicalError::EscapeDigit('g')),
            ("\"\\400\"", LexicalError::CodePoint),
            ("\"\\ud800\"", LexicalError::CodePoint),
            ("\"\\UFFFFFFFF\"", LexicalError::CodePoint),
            ("\"\u{fffd}\"", LexicalError::InvalidUtf8),
        ] {
            assert_eq!(value(text), Err(expected), "{text}");
        }
    }
}
