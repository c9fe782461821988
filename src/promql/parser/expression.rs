//! Expressions: operands, operators, calls and parentheses.
//!
//! A Pratt parser whose open parts are on a stack of its own instead of the stack of the thread: an
//! operator or sign waits for its right operand, a parenthesis or call for its end. When an operand
//! is complete and the next token is no operator of higher precedence, the parts on top end with
//! it.

use super::matching::Modifiers;
use super::tokens::Tokens;
use super::{grouping, limits, literal, matching, modifiers, precedence, selector};
use crate::promql::ast::expr::{Aggregate, Binary, Call, Expr, NumberLiteral};
use crate::promql::ast::function::Function;
use crate::promql::ast::operator::{AggregateOp, BinaryOp, Sign};
use crate::promql::ast::position::{NodeId, Span};
use crate::promql::ast::selector::VectorSelector;
use crate::promql::ast::tree::{Ast, Node};
use crate::promql::ast::value_type::ValueType;
use crate::promql::error::unexpected::Context;
use crate::promql::error::{ParseError, Problem};
use crate::promql::features::Features;
use crate::promql::lexer::string::unquote;
use crate::promql::lexer::token::{Keyword, Token, TokenKind};

/// Part of an expression that waits for its last operand or its end.
#[derive(Debug)]
enum Frame {
    Sign { sign: Sign, start: u32 },
    Operator { op: BinaryOp, lhs: NodeId, modifiers: Modifiers },
    Paren { start: u32 },
    Call { name: Token, args: Vec<NodeId> },
    Aggregation { op: AggregateOp, start: u32, grouping: Option<Grouping>, args: Vec<NodeId> },
}

/// Labels of an aggregation.
#[derive(Debug, Default)]
struct Grouping {
    labels: Box<[Box<str>]>,
    is_without: bool,
}

/// Parser of one expression.
pub(super) struct ExpressionParser<'a> {
    tokens: Tokens<'a>,
    ast: Ast,
    frames: Vec<Frame>,
    /// Number of aggregations among `frames`.
    open_aggregations: usize,
    features: Features,
}

impl<'a> ExpressionParser<'a> {
    pub(super) fn new(text: &'a [u8], features: Features) -> Self {
        Self {
            tokens: Tokens::new(text),
            ast: Ast::empty(),
            frames: Vec::new(),
            open_aggregations: 0,
            features,
        }
    }

    /// Parses the whole text.
    pub(super) fn parse(mut self) -> Result<Ast, ParseError> {
        if self.tokens.peek()? == TokenKind::End {
            return Err(self.tokens.error(Span::default(), Problem::NoExpression));
        }
        loop {
            let Some(operand) = self.operand()? else { continue };
            if self.end_parts(operand)? {
                return Ok(self.ast);
            }
        }
    }

    /// Parses an operand without what follows it. Returns `None` if it opened a part whose first
    /// operand must follow.
    fn operand(&mut self) -> Result<Option<NodeId>, ParseError> {
        let kind = self.tokens.peek()?;
        if !kind.starts_expression() {
            return self.unexpected();
        }
        if kind == TokenKind::LeftBrace {
            let (selector, span) = selector::unnamed(&mut self.tokens)?;
            return self.vector(selector, span).map(Some);
        }
        let token = self.tokens.take()?;
        match kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = literal::number(&self.tokens, token)?;
                self.add(token.span, ValueType::Scalar, Expr::Number(number)).map(Some)
            }
            TokenKind::String => {
                let value = unquote(self.tokens.text_of(token.span));
                self.add(token.span, ValueType::String, Expr::String(value)).map(Some)
            }
            TokenKind::LeftParen => self.open(Frame::Paren { start: token.span.start }),
            TokenKind::Operator(BinaryOp::Add) => {
                self.open(Frame::Sign { sign: Sign::Plus, start: token.span.start })
            }
            TokenKind::Operator(BinaryOp::Sub) => {
                self.open(Frame::Sign { sign: Sign::Minus, start: token.span.start })
            }
            TokenKind::Aggregation(op) => self.aggregation_or_selector(op, token),
            TokenKind::Identifier | TokenKind::TimeFunction(_)
                if self.tokens.peek()? == TokenKind::LeftParen =>
            {
                self.open_args(Frame::Call { name: token, args: Vec::new() })
            }
            _ => self.named_selector(token).map(Some),
        }
    }

    /// Parses the start of an aggregation. Without labels or arguments, its name is a metric name.
    fn aggregation_or_selector(
        &mut self,
        op: AggregateOp,
        token: Token,
    ) -> Result<Option<NodeId>, ParseError> {
        let grouping = self.grouping()?;
        if grouping.is_none() && self.tokens.peek()? != TokenKind::LeftParen {
            return self.named_selector(token).map(Some);
        }
        self.open_aggregations += 1;
        let (start, args) = (token.span.start, Vec::new());
        self.open_args(Frame::Aggregation { op, start, grouping, args })
    }

    /// Parses `by` or `without` with labels.
    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let is_without = match self.tokens.peek()? {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.tokens.take()?;
        let labels = grouping::labels(&mut self.tokens)?;
        Ok(Some(Grouping { labels, is_without }))
    }

    /// Parses the opening parenthesis of a call, and the closing one if it has no arguments.
    fn open_args(&mut self, frame: Frame) -> Result<Option<NodeId>, ParseError> {
        let context = self.context();
        self.tokens.expect(TokenKind::LeftParen, context)?;
        if self.tokens.eat(TokenKind::RightParen)? {
            self.close(frame).map(Some)
        } else {
            self.open(frame)
        }
    }

    fn named_selector(&mut self, name: Token) -> Result<NodeId, ParseError> {
        let (selector, span) = selector::named(&mut self.tokens, name)?;
        self.vector(selector, span)
    }

    fn vector(&mut self, selector: VectorSelector, span: Span) -> Result<NodeId, ParseError> {
        self.add(span, ValueType::InstantVector, Expr::Vector(Box::new(selector)))
    }

    /// Parses what follows an operand, and ends the parts that end with it. Returns `true` at the
    /// end of the text, and otherwise `false`: another operand must follow.
    fn end_parts(&mut self, mut operand: NodeId) -> Result<bool, ParseError> {
        loop {
            operand =
                modifiers::modifiers(&mut self.tokens, &mut self.ast, self.features, operand)?;
            if let TokenKind::Operator(op) = self.tokens.peek()? {
                self.operator(op, operand)?;
                return Ok(false);
            }
            operand = self.reduce(operand, 0)?;
            let Some(mut frame) = self.frames.pop() else {
                self.tokens.expect(TokenKind::End, Context::Other)?;
                return Ok(true);
            };
            if let Frame::Call { args, .. } | Frame::Aggregation { args, .. } = &mut frame {
                args.push(operand);
                if self.comma()? {
                    self.frames.push(frame);
                    return Ok(false);
                }
            }
            let context = self.context();
            self.tokens.expect(TokenKind::RightParen, context)?;
            operand = match frame {
                Frame::Paren { start } => self.paren(start, operand)?,
                frame => self.close(frame)?,
            };
        }
    }

    /// Parses an operator and its modifiers. The operations on top that bind at least as strongly
    /// end in front of it.
    fn operator(&mut self, op: BinaryOp, operand: NodeId) -> Result<(), ParseError> {
        let lhs = self.reduce(operand, precedence::min_to_reduce(op))?;
        self.tokens.take()?;
        let context = self.context();
        let modifiers = matching::modifiers(&mut self.tokens, context)?;
        self.open(Frame::Operator { op, lhs, modifiers }).map(|_| ())
    }

    /// Ends the operations on top that have at least this precedence, with their last operand.
    fn reduce(&mut self, mut operand: NodeId, min: u8) -> Result<NodeId, ParseError> {
        loop {
            let ends = |frame: &mut Frame| match frame {
                Frame::Sign { .. } => precedence::SIGN >= min,
                Frame::Operator { op, .. } => precedence::of(*op) >= min,
                _ => false,
            };
            operand = match self.frames.pop_if(ends) {
                Some(Frame::Sign { sign, start }) => self.signed(sign, start, operand)?,
                Some(Frame::Operator { op, lhs, modifiers }) => {
                    self.binary(op, lhs, modifiers, operand)?
                }
                _ => return Ok(operand),
            };
        }
    }

    /// Applies a sign. That of a number becomes a part of it.
    fn signed(&mut self, sign: Sign, start: u32, operand: NodeId) -> Result<NodeId, ParseError> {
        let node = &mut self.ast[operand];
        if let Expr::Number(NumberLiteral { value, .. }) = &mut node.expr {
            *value = sign.apply(*value);
            node.span.start = start;
            return Ok(operand);
        }
        let (span, value_type) = (Span { start, ..node.span }, node.value_type);
        self.add(span, value_type, Expr::Unary(sign, operand))
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        lhs: NodeId,
        modifiers: Modifiers,
        rhs: NodeId,
    ) -> Result<NodeId, ParseError> {
        let (left, right) = (&self.ast[lhs], &self.ast[rhs]);
        let span = left.span.to(right.span);
        let Modifiers { returns_bool, matching } = modifiers;
        let has_fill = matching.fill_left.is_some() || matching.fill_right.is_some();
        if has_fill && !self.features.binop_fill_modifiers {
            return Err(self.tokens.error(span, Problem::FillNotEnabled));
        }
        let are_scalars = [left, right].iter().all(|node| node.value_type == ValueType::Scalar);
        let value_type = if are_scalars { ValueType::Scalar } else { ValueType::InstantVector };
        let matching = Some(matching);
        self.add(span, value_type, Expr::Binary(Binary { op, lhs, rhs, returns_bool, matching }))
    }

    fn paren(&mut self, start: u32, inner: NodeId) -> Result<NodeId, ParseError> {
        let value_type = self.ast[inner].value_type;
        self.add(self.tokens.span_from(start), value_type, Expr::Paren(inner))
    }

    /// Parses a comma between arguments. Returns `false` if there is none.
    fn comma(&mut self) -> Result<bool, ParseError> {
        if self.tokens.peek()? != TokenKind::Comma {
            return Ok(false);
        }
        let comma = self.tokens.take()?;
        if !self.tokens.peek()?.starts_expression() {
            return Err(self.tokens.error(comma.span, Problem::TrailingComma));
        }
        Ok(true)
    }

    /// Ends a call or aggregation behind its closing parenthesis.
    fn close(&mut self, frame: Frame) -> Result<NodeId, ParseError> {
        match frame {
            Frame::Call { name, args } => self.call(name, args),
            Frame::Aggregation { op, start, mut grouping, args } => {
                if grouping.is_none() {
                    grouping = self.grouping()?;
                }
                self.open_aggregations -= 1;
                self.aggregation(op, start, grouping.unwrap_or_default(), &args)
            }
            Frame::Sign { .. } | Frame::Operator { .. } | Frame::Paren { .. } => self.unexpected(),
        }
    }

    fn call(&mut self, name: Token, args: Vec<NodeId>) -> Result<NodeId, ParseError> {
        let word = self.tokens.word(name);
        let problem = match Function::from_name(word) {
            None => Problem::UnknownFunction { name: word.to_owned() },
            Some(function) => {
                let signature = function.signature();
                if !signature.is_experimental || self.features.experimental_functions {
                    let span = self.tokens.span_from(name.span.start);
                    let expr = Expr::Call(Call { function, args: args.into() });
                    return self.add(span, signature.returns, expr);
                }
                Problem::FunctionNotEnabled { name: signature.name }
            }
        };
        Err(self.tokens.error(name.span, problem))
    }

    fn aggregation(
        &mut self,
        op: AggregateOp,
        start: u32,
        grouping: Grouping,
        args: &[NodeId],
    ) -> Result<NodeId, ParseError> {
        let span = self.tokens.span_from(start);
        let expected = 1 + usize::from(op.has_parameter());
        let problem = match *args {
            [] => Problem::NoAggregationArguments,
            _ if op.is_experimental() && !self.features.experimental_functions => {
                Problem::AggregationNotEnabled(op)
            }
            [.., expr] if args.len() == expected => {
                let parameter = (expected == 2).then(|| args[0]);
                let Grouping { labels: grouping, is_without } = grouping;
                let aggregate = Aggregate { op, expr, parameter, grouping, is_without };
                let expr = Expr::Aggregate(Box::new(aggregate));
                return self.add(span, ValueType::InstantVector, expr);
            }
            _ => Problem::AggregationArguments { expected, found: args.len() },
        };
        Err(self.tokens.error(span, problem))
    }

    fn add(&mut self, span: Span, value_type: ValueType, expr: Expr) -> Result<NodeId, ParseError> {
        limits::check_nodes(&self.tokens, &self.ast)?;
        Ok(self.ast.push(Node { span, value_type, expr }))
    }

    fn open(&mut self, frame: Frame) -> Result<Option<NodeId>, ParseError> {
        limits::check_depth(&self.tokens, self.frames.len())?;
        self.frames.push(frame);
        Ok(None)
    }

    /// Returns the part of the grammar that messages name.
    fn context(&self) -> Context {
        if self.open_aggregations > 0 { Context::Aggregation } else { Context::Other }
    }

    /// Returns the error of the next token.
    fn unexpected<T>(&mut self) -> Result<T, ParseError> {
        let context = self.context();
        self.tokens.unexpected(context)
    }
}
