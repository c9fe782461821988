//! Series selectors of a PromQL expression: `rate(a{x="1"}[5m]) / on (job) b` has `a{x="1"}` and
//! `b`.
//!
//! Only the syntax is parsed. Function names, argument counts and types are not checked, so some
//! expressions that Prometheus rejects are accepted. Every selector is found; unknown syntax is an
//! error.
//!
//! Source: grammar and lexer of Prometheus 3 (`promql/parser`).

use crate::model::matcher::Matcher;
use crate::promql::parse_error::SelectorError;
use crate::promql::selector;
use crate::promql::selector::SelectorParser;

/// Maximum number of selectors in an expression.
const MAX_SELECTORS: usize = 1000;
/// Maximum depth of nested parentheses.
const MAX_DEPTH: usize = 100;

const AGGREGATIONS: [&str; 14] = [
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
];
/// An operator precedes its own prefixes.
const OPERATORS: [&str; 14] =
    ["==", "!=", "<=", ">=", "</", ">/", "<", ">", "+", "-", "*", "/", "%", "^"];
const WORD_OPERATORS: [&str; 4] = ["and", "or", "unless", "atan2"];

/// Returns the selectors of an expression in order of appearance. Empty for an expression of
/// numbers and strings only.
///
/// # Errors
/// [`SelectorError`] if the expression is invalid or a selector matches every series.
pub(crate) fn selectors(text: &str) -> Result<Vec<Vec<Matcher>>, SelectorError> {
    let mut reader =
        SelectorScanner { text: SelectorParser::new(text), found: Vec::new(), depth: 0 };
    reader.text.skip_blanks();
    if reader.text.is_at_end() {
        return Err(reader.text.error_at(0, "no expression found in input"));
    }
    reader.expression()?;
    reader.text.skip_blanks();
    if reader.text.is_at_end() {
        Ok(reader.found)
    } else {
        Err(reader.text.error("an operator or the end"))
    }
}

struct SelectorScanner<'a> {
    text: SelectorParser<'a>,
    found: Vec<Vec<Matcher>>,
    depth: usize,
}

impl<'a> SelectorScanner<'a> {
    /// Parses operands with operators between them.
    fn expression(&mut self) -> Result<(), SelectorError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.text.error("fewer nested parentheses"));
        }
        loop {
            self.operand()?;
            if !self.operator()? {
                self.depth -= 1;
                return Ok(());
            }
        }
    }

    fn operand(&mut self) -> Result<(), SelectorError> {
        self.text.skip_blanks();
        while self.text.eat("+") || self.text.eat("-") {
            self.text.skip_blanks();
        }
        match self.text.rest().chars().next() {
            Some('(') => {
                self.text.eat("(");
                self.expression()?;
                self.close()?;
            }
            Some('"' | '\'' | '`') => drop(self.text.string("a string")?),
            Some('0'..='9' | '.') => self.number(),
            Some('{') => self.selector()?,
            _ => self.named()?,
        }
        self.modifiers()
    }

    /// Parses an operand that starts with a name: a call, a selector, or a number such as `Inf`.
    fn named(&mut self) -> Result<(), SelectorError> {
        let start = self.text.at;
        let Some(name) = self.word() else { return Err(self.text.error("an expression")) };
        if ["inf", "nan"].iter().any(|number| name.eq_ignore_ascii_case(number)) {
            return Ok(());
        }
        let aggregates = AGGREGATIONS.iter().any(|word| name.eq_ignore_ascii_case(word));
        if aggregates && self.grouping()? {
            return self.arguments();
        }
        self.text.skip_blanks();
        if self.text.rest().starts_with('(') {
            self.arguments()?;
            if aggregates {
                self.grouping()?;
            }
            return Ok(());
        }
        self.text.at = start;
        self.selector()
    }

    fn selector(&mut self) -> Result<(), SelectorError> {
        self.text.skip_blanks();
        let start = self.text.at;
        let matchers = self.text.selector()?;
        if selector::match_everything(&matchers) {
            let problem = "vector selector must contain at least one non-empty matcher";
            return Err(self.text.error_at(start, problem));
        }
        if self.found.len() == MAX_SELECTORS {
            return Err(self.text.error("fewer selectors"));
        }
        self.found.push(matchers);
        Ok(())
    }

    fn arguments(&mut self) -> Result<(), SelectorError> {
        self.text.skip_blanks();
        self.text.expect("(", "(")?;
        self.text.skip_blanks();
        if self.text.eat(")") {
            return Ok(());
        }
        loop {
            self.expression()?;
            self.text.skip_blanks();
            if !self.text.eat(",") {
                return self.close();
            }
        }
    }

    /// Parses `by (a, b)` or `without (…)`. Returns `true` if it is present.
    fn grouping(&mut self) -> Result<bool, SelectorError> {
        let start = self.text.at;
        if self.keyword(&["by", "without"]) {
            self.text.skip_blanks();
            if self.text.rest().starts_with('(') {
                return self.names().map(|()| true);
            }
        }
        self.text.at = start;
        Ok(false)
    }

    /// Parses label names in parentheses.
    fn names(&mut self) -> Result<(), SelectorError> {
        self.text.expect("(", "(")?;
        loop {
            self.text.skip_blanks();
            if self.text.eat(")") {
                return Ok(());
            }
            if self.text.identifier(|_| false).is_none() {
                self.text.string("a label name")?;
            }
            self.text.skip_blanks();
            if !self.text.eat(",") {
                return self.close();
            }
        }
    }

    /// Parses the modifiers of an operand: `[5m]`, `[1h:5m]`, `offset 5m`, `@ 1762300800`.
    fn modifiers(&mut self) -> Result<(), SelectorError> {
        loop {
            self.text.skip_blanks();
            if self.text.eat("[") {
                self.range_modifier()?;
            } else if self.text.eat("@") {
                self.at_modifier()?;
            } else if self.keyword(&["offset"]) {
                self.offset_modifier()?;
            } else if !self.keyword(&["anchored", "smoothed"]) {
                return Ok(());
            }
        }
    }

    /// Parses the text between brackets, including duration expressions.
    fn range_modifier(&mut self) -> Result<(), SelectorError> {
        let rest = self.text.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || " \t\r\n_.,:+-*/%^()".contains(c);
        let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if rest[..len].trim().is_empty() {
            return Err(self.text.error("a duration"));
        }
        self.text.at += len;
        self.text.expect("]", "]")
    }

    fn at_modifier(&mut self) -> Result<(), SelectorError> {
        self.text.skip_blanks();
        if self.keyword(&["start", "end"]) {
            self.text.skip_blanks();
            self.text.expect("(", "(")?;
            return self.close();
        }
        self.signed_number("a time")
    }

    fn offset_modifier(&mut self) -> Result<(), SelectorError> {
        self.text.skip_blanks();
        if !self.text.rest().starts_with('(') {
            return self.signed_number("a duration");
        }
        // A duration expression has the syntax of an operand and no selectors.
        self.operand()
    }

    fn signed_number(&mut self, expected: &str) -> Result<(), SelectorError> {
        if self.text.eat("-") || self.text.eat("+") {
            self.text.skip_blanks();
        }
        if !self.text.rest().starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Err(self.text.error(expected));
        }
        self.number();
        Ok(())
    }

    /// Skips a number or duration, which starts with a digit or a dot.
    fn number(&mut self) {
        let rest = self.text.rest().as_bytes();
        let is_hex = rest.len() > 1 && rest[0] == b'0' && rest[1] | 0x20 == b'x';
        let mut before = 0;
        let len = rest.iter().take_while(|&&byte| {
            let is_exponent_sign =
                !is_hex && before | 0x20 == b'e' && (byte == b'+' || byte == b'-');
            before = byte;
            byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || is_exponent_sign
        });
        self.text.at += len.count();
    }

    /// Parses an operator with `bool`, `on (…)` and `group_left (…)`. Returns `true` if one is
    /// present.
    fn operator(&mut self) -> Result<bool, SelectorError> {
        self.text.skip_blanks();
        if !OPERATORS.iter().any(|token| self.text.eat(token)) && !self.keyword(&WORD_OPERATORS) {
            return Ok(false);
        }
        self.keyword(&["bool"]);
        if self.keyword(&["on", "ignoring"]) {
            self.text.skip_blanks();
            self.names()?;
            if self.keyword(&["group_left", "group_right"]) {
                self.text.skip_blanks();
                if self.text.rest().starts_with('(') {
                    self.names()?;
                }
            }
        }
        self.fill_modifiers()?;
        Ok(true)
    }

    /// Parses `fill (0)` and the like; without parentheses these words are metric names.
    fn fill_modifiers(&mut self) -> Result<(), SelectorError> {
        loop {
            let start = self.text.at;
            let is_fill = self.keyword(&["fill", "fill_left", "fill_right"]);
            self.text.skip_blanks();
            if !is_fill || !self.text.eat("(") {
                self.text.at = start;
                return Ok(());
            }
            self.text.skip_blanks();
            self.signed_number("a number")?;
            self.close()?;
        }
    }

    fn close(&mut self) -> Result<(), SelectorError> {
        self.text.skip_blanks();
        self.text.expect(")", ")")
    }

    fn word(&mut self) -> Option<&'a str> {
        self.text.identifier(|byte| byte == b':')
    }

    /// Consumes the next word if it is one of `words`, in any case. Returns `true` if it was.
    fn keyword(&mut self, words: &[&str]) -> bool {
        let start = self.text.at;
        self.text.skip_blanks();
        if self
            .word()
            .is_some_and(|word| words.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)))
        {
            return true;
        }
        self.text.at = start;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::selectors;
    use crate::model::matcher::Matcher;

    fn found(text: &str) -> Vec<String> {
        let show = |matchers: &Vec<Matcher>| {
            let parts = matchers.iter().map(|m| format!("{}{:?}{}", m.name(), m.kind(), m.value()));
            parts.collect::<Vec<_>>().join(" ").replace("__name__Equal", "").replace("Equal", "=")
        };
        selectors(text).unwrap_or_else(|error| panic!("{text}: {error}")).iter().map(show).collect()
    }

    #[test]
    fn every_selector_of_an_expression_is_found() {
        for (text, expected) in [
            ("up", &["up"][..]),
            (r#"{"a.b", x="1"}"#, &["a.b x=1"]),
            ("sum by (le, \"x y\") (rate(a_bucket{job=\"x\"}[5m]))", &["a_bucket job=x"]),
            ("histogram_quantile(0.9, SUM(rate(a[5m] offset -1h)) without (b,))", &["a"]),
            (
                "a + on (x) group_left (y) b * ignoring () -c{d=\"e\"} > bool 3",
                &["a", "b", "c d=e"],
            ),
            ("a and b or c unless on(i) d atan2 e", &["a", "b", "c", "d", "e"]),
            ("max_over_time((a - b)[1h:5m] @ end()) + c @ -1.5e+3", &["a", "b", "c"]),
            ("sum + by + offset offset 5m", &["sum", "by", "offset"]),
            ("sum(sum) by (sum)", &["sum"]),
            ("topk by (a) (3, job:b:rate5m)", &["job:b:rate5m"]),
            ("label_replace(a, \"b\", '$1', `c`, \"(.*){x}\")", &["a"]),
            ("a # + b\n + c", &["a", "c"]),
            ("time() - 0x1F_FFp-2 ^ -Inf % NaN", &[]),
            ("1e3 * 5m", &[]),
            (
                "a[5m] anchored / fill / b + fill_left(-1) fill_right (2) c",
                &["a", "fill", "b", "c"],
            ),
            ("rate(a[step() * 2]) offset (5m / 2)", &["a"]),
            ("\"text\"", &[]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn invalid_expression_is_rejected() {
        let deep = "(".repeat(100_000);
        let many = vec!["a"; 2000].join("+");
        for text in [
            "",
            "a b",
            "a +",
            "(a",
            "a)",
            "rate(a[5m)",
            "rate(a[])",
            "sum by (a b) (c)",
            "{}",
            "a + {x=\"\"}",
            "a offset",
            "a @",
            "f(a,)",
            "a[5m",
            "\"x",
            "a{",
            "=a",
            "a = b",
            "a =~ b",
            "é",
            "a é",
            "{{schema:1}}",
            "a on (b) c",
            "a @ start",
            &deep,
            &many,
        ] {
            assert!(selectors(text).is_err(), "{text:.50}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[a-z0-9_:(){}\\[\\]@+\\-*/=~!<>,\"'`#.\\\\ é\n]{0,60}") {
            drop(selectors(&text));
        }
    }
}
