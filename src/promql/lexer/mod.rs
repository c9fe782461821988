//! Lexer: the tokens of an expression, one at a time.
//!
//! What a character means depends on where it is:
//!
//! | place | tokens |
//! |---|---|
//! | outside | everything but colons on their own |
//! | in braces | labels, strings and operators of matchers; keywords are labels |
//! | in brackets, up to the first number | operators, numbers and functions of durations |
//! | in brackets, behind it | the same as outside, but no words other than functions of durations |
//!
//! Blanks and comments (`#` to the end of the line) are skipped. The lexer checks that parentheses,
//! brackets and braces are closed, and the escapes of strings.
//!
//! Source: Prometheus's `promql/parser/lex.go`.
//!
//! | module | contents |
//! |---|---|
//! | `cursor` | position in the text |
//! | `number` | extent of numbers and durations |
//! | `string` | extent and value of strings |
//! | `token` | kinds of tokens |

mod cursor;
mod number;
pub(super) mod string;
pub(super) mod token;

use crate::promql::ast::operator::BinaryOp;
use crate::promql::ast::position::Span;
use crate::promql::error::lexical::LexicalError;
use crate::promql::error::{ParseError, Problem};
use cursor::Cursor;
use token::{TimeFunction, Token, TokenKind};

/// Lexer of an expression.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    cursor: Cursor<'a>,
    /// Offset of the token that is read.
    start: usize,
    /// Number of open parentheses.
    open_parens: u32,
    is_in_braces: bool,
    brackets: Brackets,
    /// Whether a colon occurred since the last opening bracket.
    has_colon: bool,
    /// Whether a number occurred directly behind an opening bracket. Prometheus never resets it.
    has_number: bool,
}

/// Place relative to brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brackets {
    Outside,
    /// Behind an opening bracket, up to the first number.
    BeforeNumber,
    BehindNumber,
}

impl<'a> Lexer<'a> {
    /// Returns a lexer at the start of a text.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(text),
            start: 0,
            open_parens: 0,
            is_in_braces: false,
            brackets: Brackets::Outside,
            has_colon: false,
            has_number: false,
        }
    }

    /// Returns the whole text.
    pub(super) fn text(&self) -> &'a [u8] {
        self.cursor.text()
    }

    /// Reads a token. At the end, [`TokenKind::End`].
    pub(super) fn next_token(&mut self) -> Result<Token, ParseError> {
        let before_number = self.brackets == Brackets::BeforeNumber;
        self.cursor.skip_blanks(!before_number);
        self.start = self.cursor.offset();
        let kind = if self.is_in_braces {
            self.token_in_braces()
        } else if before_number {
            self.token_before_number()
        } else {
            self.token_outside()
        };
        let kind = kind.map_err(|error| self.error(error))?;
        let span = Span { start: self.start as u32, end: self.cursor.offset() as u32 };
        Ok(Token { kind, span })
    }

    fn error(&self, error: LexicalError) -> ParseError {
        ParseError::at(self.text(), self.start as u32, Problem::Lexical(error))
    }

    /// Returns an error behind the character that was just read.
    fn error_behind<T>(&mut self, error: LexicalError) -> Result<T, LexicalError> {
        self.start = self.cursor.offset();
        Err(error)
    }

    fn token_outside(&mut self) -> Result<TokenKind, LexicalError> {
        let Some(first) = self.cursor.bump() else { return self.end() };
        Ok(match first {
            ',' => TokenKind::Comma,
            '@' => TokenKind::At,
            '=' if self.cursor.peek() == Some('~') => {
                return Err(LexicalError::Character { place: " after '='", found: '~' });
            }
            '=' if !self.cursor.eat(b'=') => TokenKind::Assign,
            '=' => TokenKind::Operator(BinaryOp::Equal),
            '!' if !self.cursor.eat(b'=') => return Err(self.bad_character(" after '!'")),
            '!' => TokenKind::Operator(BinaryOp::NotEqual),
            '<' => TokenKind::Operator(match () {
                () if self.cursor.eat(b'=') => BinaryOp::LessOrEqual,
                () if self.cursor.eat(b'/') => BinaryOp::TrimUpper,
                () => BinaryOp::Less,
            }),
            '>' => TokenKind::Operator(match () {
                () if self.cursor.eat(b'=') => BinaryOp::GreaterOrEqual,
                () if self.cursor.eat(b'/') => BinaryOp::TrimLower,
                () => BinaryOp::Greater,
            }),
            '0'..='9' => return self.number(),
            '.' if self.cursor.peek().is_some_and(|next| next.is_ascii_digit()) => {
                return self.number();
            }
            '"' | '\'' | '`' => return string::scan(&mut self.cursor, first),
            'a'..='z' | 'A'..='Z' | '_' | ':' if self.brackets == Brackets::Outside => self.word(),
            'a'..='z' | 'A'..='Z' | '_' | ':' => return self.word_in_brackets(first),
            '(' | ')' => return self.paren(first),
            '{' => {
                self.is_in_braces = true;
                TokenKind::LeftBrace
            }
            '[' if self.brackets != Brackets::Outside => {
                return Err(LexicalError::Bracket { name: "left bracket", found: first });
            }
            '[' => {
                self.has_colon = false;
                self.brackets = Brackets::BeforeNumber;
                TokenKind::LeftBracket
            }
            ']' if self.brackets == Brackets::Outside => {
                return Err(LexicalError::Bracket { name: "right bracket", found: first });
            }
            ']' => {
                self.brackets = Brackets::Outside;
                TokenKind::RightBracket
            }
            _ => match arithmetic(first) {
                Some(op) => TokenKind::Operator(op),
                None => return Err(LexicalError::Character { place: "", found: first }),
            },
        })
    }

    fn end(&self) -> Result<TokenKind, LexicalError> {
        match self.brackets {
            _ if self.open_parens > 0 => Err(LexicalError::Unclosed("parenthesis")),
            Brackets::Outside => Ok(TokenKind::End),
            Brackets::BeforeNumber | Brackets::BehindNumber => {
                Err(LexicalError::Unclosed("bracket"))
            }
        }
    }

    /// Reads on from the first character of a number or duration.
    fn number(&mut self) -> Result<TokenKind, LexicalError> {
        self.cursor.back_to(self.start);
        if number::scan_number(&mut self.cursor) {
            return Ok(TokenKind::Number);
        }
        if number::scan_rest_of_duration(&mut self.cursor) {
            return Ok(TokenKind::Duration);
        }
        let text = &self.text()[self.start..self.cursor.offset()];
        Err(LexicalError::Number { text: text.into() })
    }

    /// Reads on from the first character of a word outside of brackets.
    fn word(&mut self) -> TokenKind {
        self.cursor.eat_while(|b| is_word_byte(b) || b == b':');
        match token::word_kind(&self.text()[self.start..self.cursor.offset()]) {
            TokenKind::Keyword(keyword) if keyword.is_fill() && !self.is_before_paren() => {
                TokenKind::Identifier
            }
            kind => kind,
        }
    }

    /// Returns `true` if a parenthesis is next, behind any blanks.
    fn is_before_paren(&self) -> bool {
        let mut ahead = self.cursor.clone();
        ahead.skip_blanks(false);
        ahead.peek() == Some('(')
    }

    /// Reads on from the first character of a word in brackets, or from a colon.
    fn word_in_brackets(&mut self, first: char) -> Result<TokenKind, LexicalError> {
        if first == ':' {
            let is_second = std::mem::replace(&mut self.has_colon, true);
            return if is_second { Err(LexicalError::SecondColon) } else { Ok(TokenKind::Colon) };
        }
        self.time_function().ok_or(LexicalError::NoColon(first))
    }

    /// Reads on from the first letter of a function of durations.
    fn time_function(&mut self) -> Option<TokenKind> {
        self.cursor.eat_while(|b| b.is_ascii_alphabetic() || b == b'_');
        let word = &self.text()[self.start..self.cursor.offset()];
        match TimeFunction::from_word(word)? {
            TimeFunction::Start | TimeFunction::End => None,
            function => Some(TokenKind::TimeFunction(function)),
        }
    }

    fn paren(&mut self, paren: char) -> Result<TokenKind, LexicalError> {
        if paren == '(' {
            self.open_parens += 1;
            return Ok(TokenKind::LeftParen);
        }
        match self.open_parens.checked_sub(1) {
            Some(open) => {
                self.open_parens = open;
                Ok(TokenKind::RightParen)
            }
            None => {
                self.error_behind(LexicalError::Bracket { name: "right parenthesis", found: paren })
            }
        }
    }

    fn token_before_number(&mut self) -> Result<TokenKind, LexicalError> {
        let Some(first) = self.cursor.bump() else {
            return Err(LexicalError::End("in duration expression"));
        };
        let other = LexicalError::Character { place: " in duration expression", found: first };
        Ok(match first {
            ',' => TokenKind::Comma,
            '(' | ')' => return self.paren(first),
            ']' => {
                self.brackets = Brackets::Outside;
                TokenKind::RightBracket
            }
            ':' if !self.has_number => return self.error_behind(LexicalError::ColonBeforeDuration),
            ':' if self.has_colon => return self.error_behind(LexicalError::RepeatedColon),
            ':' => {
                self.has_colon = true;
                TokenKind::Colon
            }
            'a'..='z' | 'A'..='Z' => return self.time_function().ok_or(other),
            '.' if !self.cursor.peek().is_some_and(|next| next.is_ascii_digit()) => {
                return Err(other);
            }
            '.' | '0'..='9' => {
                self.has_number = true;
                self.brackets = Brackets::BehindNumber;
                return self.number();
            }
            _ => TokenKind::Operator(arithmetic(first).ok_or(other)?),
        })
    }

    fn token_in_braces(&mut self) -> Result<TokenKind, LexicalError> {
        let Some(first) = self.cursor.bump() else {
            return Err(LexicalError::End("inside braces"));
        };
        Ok(match first {
            ',' => TokenKind::Comma,
            'a'..='z' | 'A'..='Z' | '_' => {
                self.cursor.eat_while(is_word_byte);
                TokenKind::Identifier
            }
            '"' | '\'' | '`' => return string::scan(&mut self.cursor, first),
            '=' if self.cursor.eat(b'~') => TokenKind::RegexMatch,
            '=' => TokenKind::Assign,
            '!' if self.cursor.eat(b'~') => TokenKind::RegexMismatch,
            '!' if self.cursor.eat(b'=') => TokenKind::Operator(BinaryOp::NotEqual),
            '!' => return Err(self.bad_character(" after '!' inside braces")),
            '{' => return Err(LexicalError::Bracket { name: "left brace", found: first }),
            '}' => {
                self.is_in_braces = false;
                TokenKind::RightBrace
            }
            _ => return Err(LexicalError::Character { place: " inside braces", found: first }),
        })
    }

    /// Returns the error of the next character.
    fn bad_character(&self, place: &'static str) -> LexicalError {
        let found = self.cursor.peek().unwrap_or(char::REPLACEMENT_CHARACTER);
        LexicalError::Character { place, found }
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns the arithmetic operator of one character.
fn arithmetic(symbol: char) -> Option<BinaryOp> {
    Some(match symbol {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        '^' => BinaryOp::Pow,
        _ => return None,
    })
}
