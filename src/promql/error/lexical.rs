//! Errors of single tokens.

use crate::model::go_format::{CodePoint, Quoted, QuotedChar};

/// Error of a token. The end of the text and bytes that are not UTF-8 count as the character U+FFFD
/// where a character is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LexicalError {
    /// A character starts no token.
    #[error("unexpected character{place}: {}", QuotedChar(*.found))]
    Character {
        /// Where, in words.
        place: &'static str,
        /// The character.
        found: char,
    },
    /// A letter between brackets starts no word that is allowed there.
    #[error("unexpected character: {}, expected ':'", QuotedChar(*.0))]
    NoColon(char),
    /// Input ends where it must go on.
    #[error("unexpected end of input {0}")]
    End(&'static str),
    /// A parenthesis or bracket is not closed.
    #[error("unclosed left {0}")]
    Unclosed(&'static str),
    /// A parenthesis, bracket or brace closes or opens nothing.
    #[error("unexpected {name} {}", QuotedChar(*.found))]
    Bracket {
        /// Its name.
        name: &'static str,
        /// The character.
        found: char,
    },
    /// A second colon between brackets.
    #[error("unexpected colon ':'")]
    SecondColon,
    /// A second colon behind a function of durations.
    #[error("unexpected repeated colon in duration expression")]
    RepeatedColon,
    /// A colon that no number precedes.
    #[error("unexpected colon before duration in duration expression")]
    ColonBeforeDuration,
    /// A number or duration with impossible characters.
    #[error("bad number or duration syntax: {}", Quoted(.text))]
    Number {
        /// What was read.
        text: Box<[u8]>,
    },
    /// A string that is not closed in its line.
    #[error("unterminated quoted string")]
    UnterminatedString,
    /// A string in backquotes that is not closed.
    #[error("unterminated raw string")]
    UnterminatedRawString,
    /// Bytes in a string that are not UTF-8, or U+FFFD.
    #[error("invalid UTF-8 rune")]
    InvalidUtf8,
    /// The end of the text in an escape.
    #[error("escape sequence not terminated")]
    UnterminatedEscape,
    /// A character that has no escape.
    #[error("unknown escape sequence {}", CodePoint(*.0))]
    UnknownEscape(char),
    /// A character in the place of a digit of an escape.
    #[error("illegal character {} in escape sequence", CodePoint(*.0))]
    EscapeDigit(char),
    /// An escape of a surrogate or a number that is too large.
    #[error("escape sequence is an invalid Unicode code point")]
    CodePoint,
}
