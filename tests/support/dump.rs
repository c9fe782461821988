//! Output of Debian's `promtool tsdb dump` as samples.
//!
//! Values are printed as the shortest decimal that parses to the same float, so only NaN payloads
//! are lost. promtool may write to the directory, so it gets a copy. It exits with 0 even if it
//! omits data, so the caller must count.

use std::path::Path;
use std::process::Command;

use super::dir::copy_to_temp;
use super::samples::{LabelSet, Samples};

/// Returns the samples that promtool prints for a copy of the data directory.
pub(crate) fn dump(data: &Path) -> Samples {
    let copy = copy_to_temp(data);
    let output = Command::new("promtool")
        .args(["tsdb", "dump"])
        .arg(copy.path())
        .output()
        .expect("promtool runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool tsdb dump: {} {errors}", output.status);
    let text = String::from_utf8(output.stdout).expect("promtool prints UTF-8");
    let mut samples = Samples::new();
    for line in text.lines() {
        let (labels, t, value) =
            parse_line(line).unwrap_or_else(|| panic!("a line of another form: {line:?}"));
        samples.add(&labels, t, value.to_bits());
    }
    samples
}

/// Parses `{name="value", …} value time`.
pub(crate) fn parse_line(line: &str) -> Option<(LabelSet, i64, f64)> {
    let mut rest = line.strip_prefix('{')?;
    let mut labels = LabelSet::new();
    while !rest.starts_with('}') {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = unquote(after)?;
        labels.push((name.to_owned(), value));
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
    labels.sort();
    let (value, t) = rest.strip_prefix("} ")?.split_once(' ')?;
    Some((labels, t.parse().ok()?, value.parse().ok()?))
}

/// Parses a string quoted by Go. Returns it and the rest.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = Vec::new();
    let mut rest = text.strip_prefix('"')?.chars();
    loop {
        let mut utf8 = [0; 4];
        match rest.next()? {
            '"' => return Some((String::from_utf8(value).ok()?, rest.as_str())),
            '\\' => {
                match rest.next()? {
                    'x' => value.push(u8::try_from(hex(&mut rest, 2)?).ok()?),
                    'u' => value
                        .extend(char::from_u32(hex(&mut rest, 4)?)?.encode_utf8(&mut utf8).bytes()),
                    'U' => value
                        .extend(char::from_u32(hex(&mut rest, 8)?)?.encode_utf8(&mut utf8).bytes()),
                    simple => value.push(simple_escape(simple)?),
                }
            }
            plain => value.extend(plain.encode_utf8(&mut utf8).bytes()),
        }
    }
}

fn simple_escape(letter: char) -> Option<u8> {
    Some(match letter {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        _ => return None,
    })
}

fn hex(characters: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let text: String = characters.by_ref().take(digits).collect();
    u32::from_str_radix(&text, 16).ok()
}
