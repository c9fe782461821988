//! Escapes of a single character.

use super::input::Input;
use crate::model::matcher::error::{MatcherError, SyntaxError};

/// Parses an escape from its backslash. The result may be a surrogate, which is no `char`.
pub(super) fn rune(input: &mut Input<'_>) -> Result<u32, MatcherError> {
    let start = input.clone();
    input.skip(1);
    let Some(c) = input.bump() else {
        return Err(input.error_of_rest(SyntaxError::TrailingBackslash));
    };
    let rune = match c {
        'a' => Some(0x07),
        'f' => Some(0x0c),
        'n' => Some(0x0a),
        'r' => Some(0x0d),
        't' => Some(0x09),
        'v' => Some(0x0b),
        'x' => hexadecimal(input),
        '0'..='7' => octal(c, input),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
        _ => None,
    };
    rune.ok_or_else(|| start.error_to(input, SyntaxError::Escape))
}

/// Parses `\0` to `\777`. A single digit other than 0 would be a back reference, which RE2 lacks.
fn octal(first: char, input: &mut Input<'_>) -> Option<u32> {
    let mut rune = first.to_digit(8)?;
    let mut digits = 1;
    while let Some(digit) = input.peek().and_then(|c| c.to_digit(8)).filter(|_| digits < 3) {
        input.bump();
        rune = rune * 8 + digit;
        digits += 1;
    }
    (first == '0' || digits > 1).then_some(rune)
}

/// Parses two hexadecimal digits, or any number of them in braces.
fn hexadecimal(input: &mut Input<'_>) -> Option<u32> {
    if !input.eat("{") {
        let (high, low) = (input.bump()?, input.bump()?);
        return Some(high.to_digit(16)? * 16 + low.to_digit(16)?);
    }
    let mut rune = None;
    loop {
        match input.bump()? {
            '}' => return rune,
            c => {
                let value = rune.unwrap_or(0) * 16 + c.to_digit(16)?;
                rune = (value <= u32::from(char::MAX)).then_some(value);
                rune?;
            }
        }
    }
}
