//! Extent of numbers and durations. Their values are computed, and some of them rejected, later.

use super::cursor::Cursor;

/// Skips a number: decimal or hexadecimal, with underscores between digits, a fraction and an
/// exponent. Returns `false` if it is malformed or letters follow; then the cursor is where that
/// was found.
pub(super) fn scan_number(cursor: &mut Cursor<'_>) -> bool {
    let start = cursor.offset();
    let is_hex = cursor.eat(b'0') && cursor.eat_if(|b| matches!(b, b'x' | b'X'));
    if is_hex {
        cursor.eat(b'_');
    }
    let is_digit = |byte: u8| byte.is_ascii_digit() || is_hex && byte.is_ascii_hexdigit();
    cursor.eat(b'.');
    cursor.eat_if(is_digit);
    // A dot ahead of the first digit leaves room for another one.
    let (mut has_dot, mut has_exponent) = (false, false);
    while let Some(next) = cursor.peek_byte() {
        // In a hexadecimal number, an `e` behind another digit than those that were skipped above
        // and below counts as an exponent.
        let is_exponent = matches!(next, b'e' | b'E');
        if next == b'.' {
            cursor.eat(next);
            if has_dot || cursor.eat_if(|b| matches!(b, b'_' | b'.')) || is_hex {
                return false;
            }
            has_dot = true;
        } else if is_exponent {
            cursor.eat(next);
            if has_exponent {
                return false;
            }
            has_exponent = true;
            cursor.eat_if(|b| matches!(b, b'+' | b'-'));
            if !may_go_on(cursor) {
                return false;
            }
        } else if next == b'_' {
            cursor.eat(next);
            if !may_go_on(cursor) {
                return false;
            }
        } else if !cursor.eat_while(is_digit) {
            break;
        }
    }
    cursor.offset() > start && !cursor.peek_byte().is_some_and(is_word)
}

/// Returns `false` at the end of the text and at another separator, which is skipped. Any other
/// character is accepted: what is no digit ends the number.
fn may_go_on(cursor: &mut Cursor<'_>) -> bool {
    let is_separator = |b: u8| matches!(b, b'.' | b'_' | b'e' | b'E');
    !cursor.eat_if(is_separator) && cursor.peek_byte().is_some()
}

/// Skips the first unit of a duration, behind its number, and everything that follows. Returns
/// `false` if it is malformed or letters follow; then the cursor is where that was found.
pub(super) fn scan_rest_of_duration(cursor: &mut Cursor<'_>) -> bool {
    if !cursor.eat_if(|b| b"smhdwy".contains(&b)) {
        return false;
    }
    cursor.eat(b's');
    while cursor.eat_while(|b| b.is_ascii_digit()) {
        // Years come first.
        if !cursor.eat_if(|b| b"smhdw".contains(&b)) {
            return false;
        }
        cursor.eat(b's');
    }
    !cursor.eat_if(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::super::cursor::Cursor;
    use super::{scan_number, scan_rest_of_duration};

    /// Returns the skipped part, if it is a number, or one with units.
    fn scan(text: &str) -> Option<(&str, bool)> {
        let mut cursor = Cursor::new(text.as_bytes());
        let is_number = scan_number(&mut cursor);
        let is_duration = !is_number && scan_rest_of_duration(&mut cursor);
        (is_number || is_duration).then(|| (&text[..cursor.offset()], is_duration))
    }

    #[test]
    fn extent_of_numbers_and_durations() {
        for (text, expected) in [
            ("1 ", Some(("1", false))),
            (".5+", Some((".5", false))),
            ("1.)", Some(("1.", false))),
            ("1_000.5e-3]", Some(("1_000.5e-3", false))),
            ("0x1F_ff ", Some(("0x1F_ff", false))),
            ("0x_1 ", Some(("0x_1", false))),
            ("1e+ ", Some(("1e+", false))),
            ("5m-", Some(("5m", true))),
            ("1h30m5s20ms ", Some(("1h30m5s20ms", true))),
            ("5ys ", Some(("5ys", true))),
            ("1__0 ", None),
            ("1.2.3 ", None),
            ("1e5e5 ", None),
            ("0x1.8 ", None),
            ("0x1e", None),
            ("1e", None),
            ("1_", None),
            ("1a ", None),
            ("5m3y ", None),
            ("5mx ", None),
            ("5m3 ", None),
        ] {
            assert_eq!(scan(text), expected, "{text}");
        }
    }
}
