//! `${NAME}` in the values of external labels, as Prometheus has it: `$NAME` and `${NAME}` are variables of the environment, `$$` is a dollar.
//!
//! Source: Go's `os.Expand`, whose rules these are: names are letters, digits and `_`, or one of the signs that a shell gives a meaning; a dollar
//! before anything else stands for itself; braces that are empty or not closed vanish. Pure.

/// A text with its variables put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandedText {
    /// The text.
    pub text: String,
    /// Variables that it names and that are empty or not set.
    pub unset_variables: Vec<String>,
}

/// Puts the values of `variable` in the place of their names.
pub fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> ExpandedText {
    let mut expanded =
        ExpandedText { text: String::with_capacity(text.len()), unset_variables: Vec::new() };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.text.push_str(before);
        let VariableRef { name, len } = reference(after);
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

/// What stands behind a dollar.
struct VariableRef<'a> {
    /// Empty where it is none.
    name: &'a str,
    /// Its bytes, braces included.
    len: usize,
}

fn reference(after: &str) -> VariableRef<'_> {
    let is_sign =
        |b: &u8| matches!(b, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9');
    if let Some(braced) = after.strip_prefix('{') {
        return match braced.find('}') {
            Some(end) => VariableRef { name: &braced[..end], len: end + 2 },
            None => VariableRef { name: "", len: 1 },
        };
    }
    let len = match after.as_bytes().first() {
        Some(first) if is_sign(first) => 1,
        _ => after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count(),
    };
    VariableRef { name: &after[..len], len }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn variables_are_put_in_as_go_does_it() {
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
