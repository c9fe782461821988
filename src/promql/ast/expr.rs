//! Kinds of nodes.

use crate::promql::ast::duration::DurationValue;
use crate::promql::ast::function::Function;
use crate::promql::ast::operator::{AggregateOp, BinaryOp, Sign};
use crate::promql::ast::position::NodeId;
use crate::promql::ast::selector::{AtModifier, VectorSelector};
use crate::promql::ast::string::StringValue;
#[cfg(any(test, feature = "testing"))]
use smallvec::{SmallVec, smallvec};

/// Kind of a node, with its children.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A number or duration.
    Number(NumberLiteral),
    /// A string.
    String(StringValue),
    /// A selector of one sample per series and step.
    Vector(Box<VectorSelector>),
    /// A selector of a range of samples.
    Matrix(MatrixSelector),
    /// An expression that is evaluated at many steps for each step.
    Subquery(Box<Subquery>),
    /// A function call.
    Call(Call),
    /// An aggregation over series.
    Aggregate(Box<Aggregate>),
    /// An operation on two operands.
    Binary(Binary),
    /// A sign in front of an operand that is no number.
    Unary(Sign, NodeId),
    /// Parentheses.
    Paren(NodeId),
}

impl Expr {
    /// Returns the children in the order of Prometheus, which has the vector of an aggregation in
    /// front of its parameter.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn children(&self) -> SmallVec<[NodeId; 4]> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) => SmallVec::new(),
            Self::Matrix(matrix) => smallvec![matrix.selector],
            Self::Subquery(subquery) => smallvec![subquery.expr],
            Self::Call(call) => SmallVec::from_slice(&call.args),
            Self::Aggregate(aggregate) => {
                [aggregate.expr].into_iter().chain(aggregate.parameter).collect()
            }
            Self::Binary(binary) => smallvec![binary.lhs, binary.rhs],
            Self::Unary(_, operand) | Self::Paren(operand) => smallvec![*operand],
        }
    }
}

/// Number or duration. The sign in front is a part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberLiteral {
    /// The number; seconds for a duration.
    pub value: f64,
    /// Whether the number is written as a duration.
    pub is_duration: bool,
}

/// Selector of a range of samples, as in `up[5m]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatrixSelector {
    /// The [`VectorSelector`], which also has the modifiers behind the range.
    pub selector: NodeId,
    /// Length of the range.
    pub range: DurationValue,
}

/// Subquery, as in `rate(x[5m])[1h:1m] offset 5m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subquery {
    /// The expression that is evaluated.
    pub expr: NodeId,
    /// Length of the range.
    pub range: DurationValue,
    /// Time between evaluations; 0 means the default of the server.
    pub step: DurationValue,
    /// Shift of the evaluation time, into the past if positive.
    pub offset: DurationValue,
    /// Modifier `@`.
    pub at: Option<AtModifier>,
}

/// Function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub function: Function,
    /// The arguments, whose number and types fit the function.
    pub args: Box<[NodeId]>,
}

/// Aggregation, as in `topk by (job) (3, up)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The aggregation.
    pub op: AggregateOp,
    /// The vector.
    pub expr: NodeId,
    /// Parameter of those aggregations that have one.
    pub parameter: Option<NodeId>,
    /// Label names of `by` or `without`.
    pub grouping: Box<[Box<str>]>,
    /// Whether the labels are those that are dropped.
    pub is_without: bool,
}

/// Binary operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub lhs: NodeId,
    /// Right operand.
    pub rhs: NodeId,
    /// Whether a comparison returns 0 or 1 instead of filtering.
    pub returns_bool: bool,
    /// How series are matched; `None` unless both operands are vectors.
    pub matching: Option<Box<VectorMatching>>,
}

/// Matching of series of two vectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorMatching {
    /// Number of series on either side of a match.
    pub cardinality: Cardinality,
    /// Whether `labels` are those that are compared; otherwise all others are.
    pub is_on: bool,
    /// Label names of `on` or `ignoring`.
    pub labels: Box<[Box<str>]>,
    /// Label names of `group_left` or `group_right`, which the result takes from the other side.
    pub include: Box<[Box<str>]>,
    /// Value in place of a missing series on the left.
    pub fill_left: Option<f64>,
    /// Value in place of a missing series on the right.
    pub fill_right: Option<f64>,
}

/// Number of series on either side of a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// One on each side.
    #[default]
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

impl Cardinality {
    /// Returns the name in the HTTP API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneToOne => "one-to-one",
            Self::ManyToOne => "many-to-one",
            Self::OneToMany => "one-to-many",
            Self::ManyToMany => "many-to-many",
        }
    }

    /// Returns `true` for `group_left` and `group_right`.
    #[must_use]
    pub fn is_grouped(self) -> bool {
        matches!(self, Self::ManyToOne | Self::OneToMany)
    }
}
