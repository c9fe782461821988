//! Parts of label names.

/// Returns a part of a label name: everything but ASCII letters, digits and underscores becomes an
/// underscore.
pub(crate) fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::sanitized;

    #[test]
    fn other_characters_become_underscores() {
        for (name, expected) in
            [("a_B9", "a_B9"), ("com.x/y-z", "com_x_y_z"), ("ü1", "_1"), ("", "")]
        {
            assert_eq!(sanitized(name), expected);
        }
    }
}
