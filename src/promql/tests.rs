//! Properties of parser and printers: the text of a tree is an expression with the same tree, and
//! no text causes a panic.

use crate::promql::ast::expr::Expr;
use crate::promql::ast::tree::Ast;
use crate::promql::ast::value_type::ValueType;
use crate::promql::features::Features;
use crate::promql::parser::{parse_expression, parse_selector};
use crate::promql::print::pretty::pretty;
use crate::promql::selectors::{self, SelectorError};
use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof, proptest};
use proptest::sample::select;

fn parse(text: &str) -> Ast {
    parse_expression(text.as_bytes(), Features::ALL)
        .unwrap_or_else(|error| panic!("{text:.200}: {error}"))
}

fn message(text: &str) -> String {
    let error =
        parse_expression(text.as_bytes(), Features::ALL).expect_err("an invalid expression");
    error.to_string()
}

/// Returns the nodes without their positions. Matchers are sorted, as in the text.
fn shape(ast: &Ast) -> Vec<(ValueType, Expr)> {
    let nodes = ast.iter().map(|(_, node)| (node.value_type, node.expr.clone()));
    let sorted = nodes.map(|(value_type, mut expr)| {
        if let Expr::Vector(selector) = &mut expr {
            selector.matchers.sort_by(|a, b| (a.name(), a.value()).cmp(&(b.name(), b.value())));
        }
        (value_type, expr)
    });
    sorted.collect()
}

fn arb_of(parts: &[&'static str]) -> BoxedStrategy<String> {
    select(parts.to_vec()).prop_map(str::to_owned).boxed()
}

fn arb_duration() -> BoxedStrategy<String> {
    let leaf = arb_of(&["5m", "1h30m", "90", "step()", "range()", "0.5", "1_0"]);
    let nested = leaf.prop_recursive(3, 8, 2, |inner| {
        let op = arb_of(&[" + ", "-", "*", " / ", "%", "^"]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a}{op}{b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("max_of({a}, {b})")),
            inner.clone().prop_map(|a| format!("(-{a})")),
            inner.prop_map(|a| format!("({a})")),
        ]
    });
    nested.boxed()
}

fn arb_selector() -> BoxedStrategy<String> {
    let name = arb_of(&["up", "a:b", "sum", "offset", "fill", "step", "AND"]);
    let matcher = arb_of(&["a=\"b\"", "'x y'!='\\xff'", "c=~`d.*`", "le!~\"1|2\"", "on = ''"]);
    let braces =
        vec(matcher, 0..4).prop_map(|matchers: Vec<String>| format!("{{{}}}", matchers.join(",")));
    prop_oneof![
        name.clone(),
        (name, braces).prop_map(|(name, braces)| name + &braces),
        Just("{\"a.b\", x=\"y\"}".to_owned()),
    ]
    .boxed()
}

fn arb_at() -> BoxedStrategy<String> {
    arb_of(&[" @ 1762300800.5", " @ -1", " @ start()", "@end ( )", ""])
}

/// Time modifiers behind the last selector or subquery in parentheses. In front of an operator, an
/// expression behind `offset` would take the operator.
fn arb_last_times() -> BoxedStrategy<String> {
    let computed = arb_duration().prop_map(|duration| format!(" offset ({duration})"));
    prop_oneof![(computed, arb_at()).prop_map(|(offset, at)| offset + &at), arb_times()].boxed()
}

/// Time modifiers that any token can follow.
fn arb_times() -> BoxedStrategy<String> {
    let fixed = arb_of(&[" offset -5m", " offset 90", " offset -step()", ""]);
    (arb_at(), fixed).prop_map(|(at, offset)| at + &offset).boxed()
}

fn arb_scalar() -> BoxedStrategy<String> {
    arb_of(&["1", "-2.5", "0x1F", "5m", "1e300", "time()", "pi()", "max_of(1, 2)"])
}

/// Instant vectors.
fn arb_vector() -> BoxedStrategy<String> {
    let extension = arb_of(&["", " anchored", " smoothed"]);
    let leaf = (arb_selector(), extension.clone(), arb_times())
        .prop_map(|(selector, extension, times)| selector + &extension + &times);
    let ranges = (arb_selector(), arb_duration(), extension, arb_last_times()).prop_map(
        |(selector, range, extension, times)| {
            format!("rate({selector}[{range}]{extension}{times})")
        },
    );
    let leaf = prop_oneof![leaf, ranges];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let op = arb_of(&[
            "+",
            "*",
            "^",
            "atan2",
            ">= bool",
            "</",
            "- on (a)",
            "/ ignoring (a, \"b c\") group_left ()",
            "== on () group_right (d) fill (2)",
            "% fill_right (-1e9)",
            "and",
            "unless on (x)",
            "or",
        ]);
        let aggregation = arb_of(&["sum", "avg by (a)", "count without (\"x y\", b)", "GROUP"]);
        let selected = arb_of(&["topk(2, ", "quantile by (a) (0.5, ", "count_values(\"v\", "]);
        let call = arb_of(&["abs", "sort_desc", "histogram_count"]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (arb_scalar(), inner.clone()).prop_map(|(a, b)| format!("({a} - {b})")),
            (inner.clone(), arb_scalar()).prop_map(|(a, b)| format!("({a} ^ {b})")),
            (aggregation, inner.clone()).prop_map(|(op, a)| format!("{op} ({a})")),
            (selected, inner.clone()).prop_map(|(op, a)| format!("{op}{a})")),
            (call, inner.clone()).prop_map(|(name, a)| format!("{name}({a})")),
            (inner.clone(), arb_duration(), arb_last_times()).prop_map(
                |(a, range, times)| format!("max_over_time(({a})[1h + {range}:]{times})")
            ),
            (inner.clone(), arb_duration())
                .prop_map(|(a, step)| format!("deriv(({a})[1h:{step}])")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("( {a} ) # comment\n")),
            inner.prop_map(|a| format!("label_replace({a}, 'a', \"$1\", `b`, '(.*)')")),
        ]
    })
    .boxed()
}

/// Texts of tokens in any order.
fn arb_soup() -> BoxedStrategy<String> {
    let word = arb_of(&[
        "up",
        "a:b",
        "sum",
        "topk",
        "rate",
        "abs",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "fill",
        "fill_left",
        "bool",
        "and",
        "or",
        "unless",
        "atan2",
        "offset",
        "anchored",
        "smoothed",
        "start",
        "end",
        "step",
        "range",
        "min_of",
        "inf",
        "nan",
        "1",
        ".5",
        "0x1f",
        "5m",
        "1h5",
        "\"a\"",
        "'\\xff'",
        "`",
        "\"\\",
    ]);
    let symbol = arb_of(&[
        "(", ")", "{", "}", "[", "]", ",", ":", "@", "=", "==", "=~", "!~", "!", "+", "-", "*",
        "/", "%", "^", "<", ">/", "#", "\n", " ", " ", "é", "\0", "~",
    ]);
    vec(prop_oneof![word, symbol], 0..30).prop_map(|parts| parts.concat()).boxed()
}

proptest! {
    #[test]
    fn text_of_a_tree_has_the_same_tree(text in arb_vector()) {
        let ast = parse(&text);
        let line = ast.to_string();
        assert_eq!(shape(&parse(&line)), shape(&ast), "{line}");
        let formatted = pretty(&ast, usize::MAX).expect("no limit");
        assert_eq!(shape(&parse(&formatted)), shape(&ast), "{formatted}");
    }

    #[test]
    fn no_token_sequence_panics(text in arb_soup()) {
        drop(parse_expression(text.as_bytes(), Features::ALL));
        drop(parse_selector(text.as_bytes()));
    }

    #[test]
    fn no_bytes_panic(bytes in vec(proptest::num::u8::ANY, 0..40)) {
        drop(parse_expression(&bytes, Features::ALL));
        drop(parse_selector(&bytes));
    }
}

#[test]
fn depth_is_limited_by_name_and_uses_no_stack() {
    let nested = |depth: usize| "(".repeat(depth) + "1" + &")".repeat(depth);
    let ast = parse(&nested(49_000));
    assert_eq!(ast.to_string(), nested(49_000));
    assert!(pretty(&ast, 1 << 20).is_err());
    assert!(message(&nested(100_000)).ends_with("exceeds the limit of 50000 nested parts"));
    let chain = "up".to_owned() + &" + up".repeat(60_000);
    assert!(message(&chain).ends_with("exceeds the limit of 100000 nodes"));
    let chain = "1 ^ ".repeat(40_000) + "1";
    assert_eq!(parse(&chain).to_string(), chain);
    let durations = format!("up[{}5m{}]", "-(".repeat(20_000), ")".repeat(20_000));
    assert_eq!(parse(&durations).to_string(), durations);
    assert!(message(&"x".repeat(2 << 20)).ends_with("exceeds the limit of 1048576 bytes"));
}

#[test]
fn selectors_must_select_something() {
    let selected = |text: &str| {
        selectors::parse(text).map(|matchers| {
            let parts =
                matchers.iter().map(|m| format!("{} {:?} {}", m.name(), m.kind(), m.value()));
            parts.collect::<Vec<_>>()
        })
    };
    assert_eq!(
        selected(" up { a!~'b' , } # c"),
        Ok(vec!["a NotRegex b".to_owned(), "__name__ Equal up".to_owned()])
    );
    assert_eq!(selected("{a=~\".*\"}"), Err(SelectorError::Everything));
    let error = |text| selected(text).expect_err("no selector").to_string();
    assert_eq!(error(""), "unknown position: parse error: unexpected end of input");
    assert_eq!(error("up offset 5m"), "1:4: parse error: unexpected <offset>");
    assert_eq!(error("sum(up)"), "1:4: parse error: unexpected \"(\"");
}

#[test]
fn selectors_of_an_expression_are_found() {
    let found = |text| selectors::of_expression(text, Features::ALL);
    let count = |text| found(text).map(|selectors| selectors.len());
    assert_eq!(count("rate(a[5m]) / on (x) b + max_over_time((c offset 5m)[1h:])"), Ok(3));
    assert_eq!(count("time() + 1"), Ok(0));
    assert_eq!(found(&("a+".repeat(1000) + "a")).err(), Some(SelectorError::TooMany));
}
