//! Expansion of environment variables in external labels: `$NAME` and `${NAME}` are variables, `$$`
//! is a dollar.
//!
//! # Rules
//! - A name consists of letters, digits and `_`, or is one of the special characters of a shell.
//! - A dollar before any other character is literal.
//! - Empty and unclosed braces are removed.
//!
//! Source: Go's `os.Expand`.

/// Function that returns the value of an environment variable.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// String with expanded variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandedText {
    /// The string, with values in place of variables.
    pub text: String,
    /// Variables in the string that are unset or empty, in order of occurrence.
    pub unset_variables: Vec<String>,
}

/// Replaces every variable in `text` with the value that `variable` returns for its name.
pub fn expand(text: &str, variable: Variables<'_>) -> ExpandedText {
    let mut expanded =
        ExpandedText { text: String::with_capacity(text.len()), unset_variables: Vec::new() };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.text.push_str(before);
        let VariableRef { name, len } = parse_variable_ref(after);
        match name {
            "" if len == 0 => expanded.text.push('$'),
            "" => {}
            "$" => expanded.text.push('$'),
            name => match variable(name).filter(|value| !value.is_empty()) {
                Some(value) => expanded.text.push_str(&value),
                None => expanded.unset_variables.push(name.to_owned()),
            },
        }
        rest = &after[len..];
    }
    expanded.text.push_str(rest);
    expanded
}

/// Variable name after a dollar.
struct VariableRef<'a> {
    /// Empty if no variable follows the dollar.
    name: &'a str,
    /// Length after the dollar, braces included, bytes.
    len: usize,
}

fn parse_variable_ref(after: &str) -> VariableRef<'_> {
    let is_special =
        |b: &u8| matches!(b, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9');
    if let Some(braced) = after.strip_prefix('{') {
        return match braced.find('}') {
            Some(end) => VariableRef { name: &braced[..end], len: end + 2 },
            None => VariableRef { name: "", len: 1 },
        };
    }
    let len = match after.as_bytes().first() {
        Some(first) if is_special(first) => 1,
        _ => after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count(),
    };
    VariableRef { name: &after[..len], len }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn variables_are_expanded_like_go() {
        let variable = |name: &str| match name {
            "A" | "a b" => Some("x".to_owned()),
            "LONG_1" => Some("$A".to_owned()),
            "1" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$A", "x"),
            ("é${A}é", "éxé"),
            ("$A$A-$LONG_1", "xx-$A"),
            ("$$A", "$A"),
            ("${$}", "$"),
            ("${a b}", "x"),
            ("$12", "one2"),
            ("$", "$"),
            ("$ a", "$ a"),
            ("$é", "$é"),
            ("${}a", "a"),
            ("${A", "A"),
            ("a$NONE.b${EMPTY}c", "a.bc"),
        ] {
            assert_eq!(expand(text, &variable).text, expected, "{text}");
        }
        assert_eq!(expand("$NONE ${EMPTY} $A", &variable).unset_variables, ["NONE", "EMPTY"]);
    }
}
