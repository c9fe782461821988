//! Errors of types, and of arguments that depend on them.

use crate::model::go_format::Quoted;
use crate::promql::ast::operator::BinaryOp;
use crate::promql::ast::value_type::ValueType;

/// Error of types, or of arguments that depend on them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// An operand or argument has the wrong type.
    #[error("expected type {} in {place}, got {}", expected.name(), found.name())]
    Mismatch {
        /// Type that it must have.
        expected: ValueType,
        /// Operation whose argument it is.
        place: TypedPlace,
        /// Type that it has.
        found: ValueType,
    },
    /// The number of arguments is wrong.
    #[error("expected {quantity}{expected} argument(s) in call to {function:?}, got {found}")]
    ArgumentCount {
        /// Empty, `at least ` or `at most `.
        quantity: &'static str,
        /// Number that the call must have.
        expected: usize,
        /// Name of the function.
        function: &'static str,
        /// Number that the call has.
        found: usize,
    },
    /// The second argument of `info` has a metric name.
    #[error("expected label selectors only, got vector selector instead")]
    InfoWithMetricName,
    /// The second argument of `info` is no selector.
    #[error("expected label selectors only")]
    InfoWithOtherExpression,
    /// A selector has two metric names.
    #[error("metric name must not be set twice: {:?} or {}", name, Quoted(second))]
    MetricNameTwice {
        /// Name in front of the braces.
        name: Box<str>,
        /// Name in the braces.
        second: Box<[u8]>,
    },
    /// A selector selects every series.
    #[error("vector selector must contain at least one non-empty matcher")]
    MatchesEverything,
    /// A subquery of something other than an instant vector.
    #[error("subquery is only allowed on instant vector, got {} instead", .0.api_name())]
    Subquery(ValueType),
    /// A sign in front of a range vector or string.
    #[error(
        "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
        .0.name()
    )]
    Unary(ValueType),
    /// An operand is a range vector or string.
    #[error("binary expression must contain only scalar and instant vector types")]
    Operand,
    /// `bool` follows another operator than a comparison.
    #[error("bool modifier can only be used on comparison operators")]
    BoolWithoutComparison,
    /// A comparison of scalars without `bool`.
    #[error("comparisons between scalars must use BOOL modifier")]
    ComparisonWithoutBool,
    /// A label is in `on` and in `group_left` or `group_right`.
    #[error("label {} must not occur in ON and GROUP clause at once", Quoted(.label.as_bytes()))]
    LabelInBothClauses {
        /// The label.
        label: Box<str>,
    },
    /// `on` or `ignoring` with a scalar.
    #[error("vector matching only allowed between instant vectors")]
    MatchingWithScalar,
    /// `fill` with a scalar.
    #[error("filling in missing series only allowed between instant vectors")]
    FillWithScalar,
    /// `fill` with a set operator.
    #[error("filling in missing series not allowed for set operators")]
    FillWithSetOperator,
    /// `group_left` or `group_right` with a set operator.
    #[error("no grouping allowed for {:?} operation", .0.symbol())]
    GroupingWithSetOperator(BinaryOp),
    /// A set operator with a scalar.
    #[error("set operator {:?} not allowed in binary scalar expression", .0.symbol())]
    SetOperatorWithScalar(BinaryOp),
}

/// Operation whose argument has the wrong type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TypedPlace {
    /// Vector of an aggregation.
    #[error("aggregation expression")]
    Aggregation,
    /// Parameter of an aggregation.
    #[error("aggregation parameter")]
    AggregationParameter,
    /// Argument of a call.
    #[error("call to function {0:?}")]
    Call(&'static str),
}
