//! Types of operands and arguments.
//!
//! The checks run in Prometheus's order, because the first error is the one that is shown: mostly
//! the children of a node before the node. Pending checks are on a stack of their own.
//!
//! Source: `checkAST` in Prometheus's `promql/parser/parse.go`.

use crate::model::labels::METRIC_NAME;
use crate::promql::ast::expr::{Aggregate, Binary, Call, Cardinality, Expr};
use crate::promql::ast::function::Function;
use crate::promql::ast::position::{NodeId, Span};
use crate::promql::ast::selector::VectorSelector;
use crate::promql::ast::tree::Ast;
use crate::promql::ast::value_type::ValueType;
use crate::promql::error::ParseError;
use crate::promql::error::types::{TypeError, TypedPlace};

/// Checks a tree. Binary operations get their final matching: none unless both operands are
/// vectors, and many-to-many for set operators.
///
/// # Errors
/// [`ParseError`] of the first violation.
pub(super) fn check(ast: &mut Ast, text: &[u8]) -> Result<(), ParseError> {
    Checker { ast, text, pending: Vec::new() }.run()
}

/// Check that is still to be made.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// The node and its children.
    Node(NodeId),
    /// The operation of a binary node or sign, whose operands are checked.
    Operation(NodeId),
    /// The type of an operand or argument that is checked.
    Type { node: NodeId, expected: ValueType, place: TypedPlace },
    /// The matchers of the second argument of `info`, which may select every series.
    Matchers(NodeId),
}

struct Checker<'a> {
    ast: &'a mut Ast,
    text: &'a [u8],
    /// Checks in reverse order.
    pending: Vec<Check>,
}

impl Checker<'_> {
    fn run(mut self) -> Result<(), ParseError> {
        self.pending.push(Check::Node(self.ast.root()));
        while let Some(check) = self.pending.pop() {
            match check {
                Check::Node(id) => self.node(id)?,
                Check::Operation(id) => self.operation(id)?,
                Check::Type { node, expected, place } => self.value_type(node, expected, place)?,
                Check::Matchers(id) => self.matchers(id, true)?,
            }
        }
        Ok(())
    }

    fn node(&mut self, id: NodeId) -> Result<(), ParseError> {
        match &self.ast[id].expr {
            Expr::Number(_) | Expr::String(_) => {}
            Expr::Vector(_) => self.matchers(id, false)?,
            Expr::Matrix(matrix) => self.matchers(matrix.selector, false)?,
            Expr::Paren(inner) => self.pending.push(Check::Node(*inner)),
            Expr::Unary(_, operand) => {
                self.pending.extend([Check::Operation(id), Check::Node(*operand)]);
            }
            Expr::Subquery(subquery) => {
                self.pending.extend([Check::Operation(id), Check::Node(subquery.expr)]);
            }
            Expr::Binary(Binary { lhs, rhs, .. }) => {
                let checks = [Check::Operation(id), Check::Node(*rhs), Check::Node(*lhs)];
                self.pending.extend(checks);
            }
            Expr::Aggregate(aggregate) => self.pending.extend(aggregate_checks(aggregate)),
            Expr::Call(call) => {
                self.check_arguments(self.ast[id].span, call)?;
                let checks = call_checks(call);
                self.pending.extend(checks);
            }
        }
        Ok(())
    }

    fn value_type(
        &self,
        node: NodeId,
        expected: ValueType,
        place: TypedPlace,
    ) -> Result<(), ParseError> {
        let found = self.ast[node].value_type;
        if found == expected {
            return Ok(());
        }
        self.fail(self.ast[node].span, TypeError::Mismatch { expected, place, found })
    }

    /// Checks the matchers of a selector.
    fn matchers(&self, id: NodeId, may_match_everything: bool) -> Result<(), ParseError> {
        let node = &self.ast[id];
        let Expr::Vector(selector) = &node.expr else { return Ok(()) };
        match matcher_error(selector) {
            Some(TypeError::MatchesEverything) if may_match_everything => Ok(()),
            Some(error) => self.fail(node.span, error),
            None => Ok(()),
        }
    }

    /// Checks the number of arguments, and the second argument of `info`.
    fn check_arguments(&self, span: Span, call: &Call) -> Result<(), ParseError> {
        let signature = call.function.signature();
        let (found, function) = (call.args.len(), signature.name);
        let min = signature.args.len() - usize::from(signature.variadic != 0);
        let max = min + usize::try_from(signature.variadic).unwrap_or(usize::MAX - min);
        let (quantity, expected) = match signature.variadic {
            0 if found != min => ("", min),
            0 => return Ok(()),
            _ if found < min => ("at least ", min),
            _ if found > max => ("at most ", max),
            _ => ("", found),
        };
        if expected != found {
            let error = TypeError::ArgumentCount { quantity, expected, function, found };
            return self.fail(span, error);
        }
        if let (Function::Info, Some(&second)) = (call.function, call.args.get(1)) {
            self.check_info(span, second)?;
        }
        Ok(())
    }

    /// Checks the second argument of `info`, a selector without a name.
    fn check_info(&self, call: Span, argument: NodeId) -> Result<(), ParseError> {
        let node = &self.ast[argument];
        if node.value_type != ValueType::InstantVector {
            let place = TypedPlace::Call(Function::Info.signature().name);
            let (expected, found) = (ValueType::InstantVector, node.value_type);
            return self.fail(call, TypeError::Mismatch { expected, place, found });
        }
        match &node.expr {
            Expr::Vector(selector) if selector.name.is_empty() => Ok(()),
            Expr::Vector(_) => self.fail(node.span, TypeError::InfoWithMetricName),
            _ => self.fail(node.span, TypeError::InfoWithOtherExpression),
        }
    }

    /// Checks a subquery, sign or binary operation, whose operands are checked.
    fn operation(&mut self, id: NodeId) -> Result<(), ParseError> {
        let node = &self.ast[id];
        match &node.expr {
            Expr::Subquery(subquery) => match self.ast[subquery.expr].value_type {
                ValueType::InstantVector => Ok(()),
                other => self.fail(node.span, TypeError::Subquery(other)),
            },
            Expr::Unary(_, operand) => match self.ast[*operand].value_type {
                ValueType::Scalar | ValueType::InstantVector => Ok(()),
                other => self.fail(node.span, TypeError::Unary(other)),
            },
            Expr::Binary(binary) => {
                let matches_vectors = self.check_binary(node.span, binary)?;
                self.set_matching(id, matches_vectors);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks a binary operation. Returns `true` if both operands are vectors.
    fn check_binary(&self, span: Span, binary: &Binary) -> Result<bool, ParseError> {
        let Binary { op, lhs, rhs, returns_bool, matching } = binary;
        let (left, right) = (&self.ast[*lhs], &self.ast[*rhs]);
        let types = [left.value_type, right.value_type];
        let has_scalar = types.contains(&ValueType::Scalar);
        let operator = || self.operator_span(left.span, right.span);
        if *returns_bool && !op.is_comparison() {
            return self.fail(operator(), TypeError::BoolWithoutComparison);
        }
        if op.is_comparison() && !returns_bool && types == [ValueType::Scalar; 2] {
            return self.fail(operator(), TypeError::ComparisonWithoutBool);
        }
        let matching = matching.as_deref();
        let mut shared = matching.iter().filter(|matching| matching.is_on).flat_map(|matching| {
            matching.labels.iter().filter(|label| matching.include.contains(label))
        });
        if let Some(label) = shared.next() {
            return self.fail(operator(), TypeError::LabelInBothClauses { label: label.clone() });
        }
        for operand in [left, right] {
            if !matches!(operand.value_type, ValueType::Scalar | ValueType::InstantVector) {
                return self.fail(operand.span, TypeError::Operand);
            }
        }
        let has_fill = matching
            .is_some_and(|matching| matching.fill_left.is_some() || matching.fill_right.is_some());
        let error = if has_scalar && matching.is_some_and(|matching| !matching.labels.is_empty()) {
            TypeError::MatchingWithScalar
        } else if has_scalar && has_fill {
            TypeError::FillWithScalar
        } else if has_scalar && op.is_set_operator() {
            TypeError::SetOperatorWithScalar(*op)
        } else if !has_scalar
            && op.is_set_operator()
            && matching.is_some_and(|matching| matching.cardinality.is_grouped())
        {
            TypeError::GroupingWithSetOperator(*op)
        } else if op.is_set_operator() && has_fill {
            TypeError::FillWithSetOperator
        } else {
            return Ok(!has_scalar);
        };
        self.fail(span, error)
    }

    /// Sets the final matching of a binary operation.
    fn set_matching(&mut self, id: NodeId, matches_vectors: bool) {
        let Expr::Binary(binary) = &mut self.ast[id].expr else { return };
        if !matches_vectors {
            binary.matching = None;
        } else if let (true, Some(matching)) = (binary.op.is_set_operator(), &mut binary.matching) {
            matching.cardinality = Cardinality::ManyToMany;
        }
    }

    /// Returns the position of the text between two operands, without blanks around it.
    fn operator_span(&self, lhs: Span, rhs: Span) -> Span {
        let between = self.text.get(lhs.end as usize..rhs.start as usize).unwrap_or_default();
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let before = between.iter().take_while(is_blank).count() as u32;
        Span { start: lhs.end + before, end: rhs.start }
    }

    fn fail<T>(&self, span: Span, error: TypeError) -> Result<T, ParseError> {
        Err(ParseError::at(self.text, span.start, error.into()))
    }
}

/// Returns the error of the matchers of a selector.
fn matcher_error(selector: &VectorSelector) -> Option<TypeError> {
    if selector.name.is_empty() {
        let is_empty = selector.matchers.iter().all(|matcher| matcher.matcher().matches_empty());
        return is_empty.then_some(TypeError::MatchesEverything);
    }
    let (_, others) = selector.matchers.split_last()?;
    let second = others.iter().find(|matcher| matcher.name() == METRIC_NAME.as_bytes())?;
    let (name, second) = (selector.name.clone(), second.value().into());
    Some(TypeError::MetricNameTwice { name, second })
}

/// Returns the checks of an aggregation, in reverse order.
fn aggregate_checks(aggregate: &Aggregate) -> impl Iterator<Item = Check> + use<> {
    let mut checks = [None; 4];
    if let Some(node) = aggregate.parameter {
        let is_scalar = aggregate.op.has_scalar_parameter();
        let expected = if is_scalar { ValueType::Scalar } else { ValueType::String };
        let place = TypedPlace::AggregationParameter;
        checks[0] = Some(Check::Type { node, expected, place });
        checks[1] = Some(Check::Node(node));
    }
    let (node, expected) = (aggregate.expr, ValueType::InstantVector);
    checks[2] = Some(Check::Type { node, expected, place: TypedPlace::Aggregation });
    checks[3] = Some(Check::Node(node));
    checks.into_iter().flatten()
}

/// Returns the checks of the arguments of a call, in reverse order.
fn call_checks(call: &Call) -> Vec<Check> {
    let signature = call.function.signature();
    let place = TypedPlace::Call(signature.name);
    let is_info = call.function == Function::Info;
    let mut checks = Vec::with_capacity(2 * call.args.len());
    for (at, &node) in call.args.iter().enumerate().rev() {
        let Some(expected) = signature.arg_type(at) else { continue };
        checks.push(Check::Type { node, expected, place });
        checks.push(if is_info && at == 1 { Check::Matchers(node) } else { Check::Node(node) });
    }
    checks
}
