//! Texts of a tree: one line, formatted, and JSON.
//!
//! Each writer turns a node into pieces: text, and children in place. The pieces are written in a
//! loop with a stack of its own, so depth does not matter.
//!
//! | module | contents |
//! |---|---|
//! | `duration` | durations and duration expressions |
//! | [`json`] | JSON of the tree |
//! | [`mod@line`] | text in one line |
//! | [`pretty`] | text with line breaks and indentation |
//! | `selector` | selectors and time modifiers |

mod duration;
pub mod json;
pub mod line;
pub mod pretty;
mod selector;

use crate::model::go_format::Quoted;
use crate::model::label_name::NameValidationScheme;
use std::fmt::Write as _;

/// Appends a label name, in quotes if it has unusual characters.
fn push_label(out: &mut String, name: &[u8]) {
    match std::str::from_utf8(name) {
        Ok(name) if NameValidationScheme::Legacy.is_valid_label_name(name) => out.push_str(name),
        _ => {
            let _ = write!(out, "{}", Quoted(name));
        }
    }
}

/// Appends label names in parentheses.
fn push_labels(out: &mut String, names: &[Box<str>]) {
    out.push('(');
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        push_label(out, name.as_bytes());
    }
    out.push(')');
}
