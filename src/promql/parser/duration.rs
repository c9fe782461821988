//! Durations: of ranges and steps in brackets, and behind `offset`.
//!
//! ```text
//! duration = number | function | sign duration | duration operator duration | "(" duration ")"
//! function = ("step" | "range") "(" ")" | ("min_of" | "max_of") "(" duration "," duration ")"
//! operator = "+" | "-" | "*" | "/" | "%" | "^"
//! ```
//!
//! Precedence is that of expressions. Behind `offset` a number, a function, and a parenthesis with
//! a sign in front end the duration, so `a offset 5m * 2` is a product of series.
//!
//! Open parts are on a stack of their own, so nesting uses no stack of the thread.

use super::tokens::Tokens;
use super::{limits, literal, precedence};
use crate::promql::ast::duration::{
    DurationExpr, DurationNode, DurationOp, DurationValue, Nanoseconds,
};
use crate::promql::ast::operator::{BinaryOp, Sign};
use crate::promql::ast::position::DurationId;
use crate::promql::ast::position::Span;
use crate::promql::ast::tree::Ast;
use crate::promql::error::unexpected::Context;
use crate::promql::error::{DurationError, ParseError, Problem};
use crate::promql::lexer::token::{TimeFunction, TokenKind};

/// Maximum length of a duration, seconds: 2^63 ns.
const MAX_SECONDS: f64 = 9_223_372_036.854_776;

/// Parses the duration of a range or step, which must be positive if it is a number. `context`
/// names it in messages.
pub(super) fn positive(
    tokens: &mut Tokens<'_>,
    ast: &mut Ast,
    context: Context,
) -> Result<DurationValue, ParseError> {
    let operand = DurationParser::new(tokens, ast, context).duration()?;
    match operand {
        Operand::Number { seconds, span, .. } if seconds <= 0.0 => {
            Err(tokens.error(span, Problem::NotPositive))
        }
        _ => Ok(operand.into_value()),
    }
}

/// Parses the duration behind `offset`.
pub(super) fn offset(tokens: &mut Tokens<'_>, ast: &mut Ast) -> Result<DurationValue, ParseError> {
    Ok(DurationParser::new(tokens, ast, Context::Offset).offset()?.into_value())
}

/// Operand of a duration expression. A number becomes a node only as a part of an expression.
#[derive(Clone, Copy, Debug)]
enum Operand {
    Number { seconds: f64, has_units: bool, span: Span },
    Node(DurationId),
}

impl Operand {
    fn into_value(self) -> DurationValue {
        match self {
            Self::Number { seconds, .. } => {
                DurationValue::Fixed(Nanoseconds::from_seconds(seconds))
            }
            Self::Node(id) => DurationValue::Computed(id),
        }
    }
}

/// Open part of a duration expression.
#[derive(Clone, Copy, Debug)]
enum Frame {
    Sign { sign: Sign, start: u32 },
    Operator { op: DurationOp, precedence: u8, span: Span, lhs: Operand },
    Paren { start: u32 },
    FirstArgument { op: DurationOp },
    SecondArgument { op: DurationOp, first: Operand },
}

struct DurationParser<'p, 'a> {
    tokens: &'p mut Tokens<'a>,
    ast: &'p mut Ast,
    context: Context,
    frames: Vec<Frame>,
}

impl<'p, 'a> DurationParser<'p, 'a> {
    fn new(tokens: &'p mut Tokens<'a>, ast: &'p mut Ast, context: Context) -> Self {
        Self { tokens, ast, context, frames: Vec::new() }
    }

    /// Parses the duration behind `offset`.
    fn offset(&mut self) -> Result<Operand, ParseError> {
        let Some(sign) = sign(self.tokens.peek()?) else { return self.unsigned_offset() };
        let start = self.tokens.take()?.span.start;
        match self.tokens.peek()? {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number(Some(start))?;
                self.signed(sign, start, number)
            }
            TokenKind::TimeFunction(_) => {
                let operand = self.function()?;
                self.unary(sign, start, operand).map(Operand::Node)
            }
            TokenKind::LeftParen => {
                self.tokens.take()?;
                let inner = self.duration()?;
                self.tokens.expect(TokenKind::RightParen, self.context)?;
                let wrapped = self.wrapped(inner, self.span_of(inner).start)?;
                self.signed(sign, start, wrapped)
            }
            _ => {
                self.frames.push(Frame::Sign { sign, start });
                self.duration()
            }
        }
    }

    fn unsigned_offset(&mut self) -> Result<Operand, ParseError> {
        match self.tokens.peek()? {
            TokenKind::Number | TokenKind::Duration => self.number(None),
            TokenKind::TimeFunction(_) => self.function(),
            _ => self.duration(),
        }
    }

    /// Parses a call and nothing behind it.
    fn function(&mut self) -> Result<Operand, ParseError> {
        match self.function_head()? {
            FunctionHead::Value(operand) => Ok(operand),
            FunctionHead::Choice(op) => {
                let first = self.duration()?;
                self.tokens.expect(TokenKind::Comma, self.context)?;
                let second = self.duration()?;
                self.tokens.expect(TokenKind::RightParen, self.context)?;
                self.binary(op, first, second)
            }
        }
    }

    /// Parses a duration up to a token that cannot belong to it.
    fn duration(&mut self) -> Result<Operand, ParseError> {
        loop {
            let Some(mut operand) = self.operand()? else { continue };
            // Closes all parts that end with the operand.
            loop {
                if self.operator(operand)? {
                    break;
                }
                operand = self.reduce(operand, 0)?;
                match self.frames.pop() {
                    Some(Frame::Paren { start }) => {
                        self.tokens.expect(TokenKind::RightParen, self.context)?;
                        operand = self.wrapped(operand, start)?;
                    }
                    Some(Frame::FirstArgument { op }) => {
                        self.tokens.expect(TokenKind::Comma, self.context)?;
                        self.frames.push(Frame::SecondArgument { op, first: operand });
                        break;
                    }
                    Some(Frame::SecondArgument { op, first }) => {
                        self.tokens.expect(TokenKind::RightParen, self.context)?;
                        operand = self.binary(op, first, operand)?;
                    }
                    _ => return Ok(operand),
                }
            }
        }
    }

    /// Parses an operand. Returns `None` if another operand must follow what was parsed.
    fn operand(&mut self) -> Result<Option<Operand>, ParseError> {
        let kind = self.tokens.peek()?;
        if let Some(sign) = sign(kind) {
            let start = self.tokens.take()?.span.start;
            self.push(Frame::Sign { sign, start })?;
            return Ok(None);
        }
        match kind {
            TokenKind::Number | TokenKind::Duration => self.number(None).map(Some),
            TokenKind::TimeFunction(_) => match self.function_head()? {
                FunctionHead::Value(operand) => Ok(Some(operand)),
                FunctionHead::Choice(op) => {
                    self.push(Frame::FirstArgument { op })?;
                    Ok(None)
                }
            },
            TokenKind::LeftParen => {
                let start = self.tokens.take()?.span.start;
                self.push(Frame::Paren { start })?;
                Ok(None)
            }
            _ => self.tokens.unexpected(self.context),
        }
    }

    /// Parses an operator behind an operand, if there is one.
    fn operator(&mut self, lhs: Operand) -> Result<bool, ParseError> {
        let TokenKind::Operator(symbol) = self.tokens.peek()? else { return Ok(false) };
        let Some(op) = duration_op(symbol) else { return Ok(false) };
        let lhs = self.reduce(lhs, precedence::min_to_reduce(symbol))?;
        let span = self.tokens.take()?.span;
        let precedence = precedence::of(symbol);
        self.push(Frame::Operator { op, precedence, span, lhs })?;
        Ok(true)
    }

    /// Closes the operations on top that have at least this precedence, with the last operand.
    fn reduce(&mut self, mut operand: Operand, min: u8) -> Result<Operand, ParseError> {
        loop {
            operand = match self.frames.last().copied() {
                Some(Frame::Sign { sign, start }) if precedence::SIGN >= min => {
                    self.frames.pop();
                    self.signed(sign, start, operand)?
                }
                Some(Frame::Operator { op, precedence, span, lhs }) if precedence >= min => {
                    self.frames.pop();
                    self.check_divisor(op, span, operand)?;
                    self.binary(op, lhs, operand)?
                }
                _ => return Ok(operand),
            };
        }
    }

    fn check_divisor(
        &self,
        op: DurationOp,
        operator: Span,
        divisor: Operand,
    ) -> Result<(), ParseError> {
        let problem = match (op, divisor) {
            (DurationOp::Div, Operand::Number { seconds: 0.0, .. }) => Problem::DivisionByZero,
            (DurationOp::Mod, Operand::Number { seconds: 0.0, .. }) => Problem::ModuloByZero,
            _ => return Ok(()),
        };
        Err(self.tokens.error(operator, problem))
    }

    /// Parses a number. `sign` is the offset of the sign in front, if a message is to name that.
    fn number(&mut self, sign: Option<u32>) -> Result<Operand, ParseError> {
        let token = self.tokens.take()?;
        let number = literal::number(self.tokens, token)?;
        if number.value.abs() > MAX_SECONDS {
            let start = sign.unwrap_or(token.span.start);
            return Err(self.tokens.error(Span { start, ..token.span }, DurationError::OutOfRange));
        }
        let (seconds, has_units) = (number.value, number.is_duration);
        Ok(Operand::Number { seconds, has_units, span: token.span })
    }

    /// Parses `step()` or `range()`, or `min_of(` or `max_of(`.
    fn function_head(&mut self) -> Result<FunctionHead, ParseError> {
        let TokenKind::TimeFunction(function) = self.tokens.peek()? else {
            return self.tokens.unexpected(self.context);
        };
        let expr = match function {
            TimeFunction::Step => Ok(DurationExpr::Step),
            TimeFunction::Range => Ok(DurationExpr::Range),
            TimeFunction::MinOf => Err(DurationOp::MinOf),
            TimeFunction::MaxOf => Err(DurationOp::MaxOf),
            TimeFunction::Start | TimeFunction::End => {
                return self.tokens.unexpected(self.context);
            }
        };
        let start = self.tokens.take()?.span.start;
        self.tokens.expect(TokenKind::LeftParen, self.context)?;
        match expr {
            Ok(expr) => {
                self.tokens.expect(TokenKind::RightParen, self.context)?;
                let id = self.add(self.tokens.span_from(start), expr)?;
                Ok(FunctionHead::Value(Operand::Node(id)))
            }
            Err(op) => Ok(FunctionHead::Choice(op)),
        }
    }

    /// Marks an operand as being in parentheses. A number becomes a node, which can have the mark.
    fn wrapped(&mut self, operand: Operand, start: u32) -> Result<Operand, ParseError> {
        let id = match operand {
            Operand::Number { .. } => self.unary(Sign::Plus, start, operand)?,
            Operand::Node(id) => id,
        };
        self.ast.duration_mut(id).is_wrapped = true;
        Ok(Operand::Node(id))
    }

    /// Applies a sign. That of a number becomes a part of it, and `+` has no effect on a node.
    fn signed(&mut self, sign: Sign, start: u32, operand: Operand) -> Result<Operand, ParseError> {
        Ok(match (operand, sign) {
            (Operand::Number { seconds, has_units, span }, _) => {
                let (seconds, span) = (sign.apply(seconds), Span { start, ..span });
                Operand::Number { seconds, has_units, span }
            }
            (Operand::Node(_), Sign::Plus) => operand,
            (Operand::Node(_), Sign::Minus) => Operand::Node(self.unary(sign, start, operand)?),
        })
    }

    fn unary(
        &mut self,
        sign: Sign,
        start: u32,
        operand: Operand,
    ) -> Result<DurationId, ParseError> {
        let span = Span { start, ..self.span_of(operand) };
        let id = self.node(operand)?;
        self.add(span, DurationExpr::Unary(sign, id))
    }

    fn binary(
        &mut self,
        op: DurationOp,
        lhs: Operand,
        rhs: Operand,
    ) -> Result<Operand, ParseError> {
        let span = self.span_of(lhs).to(self.span_of(rhs));
        let (lhs, rhs) = (self.node(lhs)?, self.node(rhs)?);
        self.add(span, DurationExpr::Binary(op, lhs, rhs)).map(Operand::Node)
    }

    /// Returns the node of an operand.
    fn node(&mut self, operand: Operand) -> Result<DurationId, ParseError> {
        match operand {
            Operand::Number { seconds, has_units, span } => {
                self.add(span, DurationExpr::Number { seconds, has_units })
            }
            Operand::Node(id) => Ok(id),
        }
    }

    fn span_of(&self, operand: Operand) -> Span {
        match operand {
            Operand::Number { span, .. } => span,
            Operand::Node(id) => self.ast[id].span,
        }
    }

    fn add(&mut self, span: Span, expr: DurationExpr) -> Result<DurationId, ParseError> {
        limits::check_nodes(self.tokens, self.ast)?;
        Ok(self.ast.push_duration(DurationNode { span, is_wrapped: false, expr }))
    }

    fn push(&mut self, frame: Frame) -> Result<(), ParseError> {
        limits::check_depth(self.tokens, self.frames.len())?;
        self.frames.push(frame);
        Ok(())
    }
}

/// Start of a call.
enum FunctionHead {
    /// The complete call of a function without arguments.
    Value(Operand),
    /// The opening parenthesis of a function of two durations.
    Choice(DurationOp),
}

fn sign(token: TokenKind) -> Option<Sign> {
    match token {
        TokenKind::Operator(BinaryOp::Add) => Some(Sign::Plus),
        TokenKind::Operator(BinaryOp::Sub) => Some(Sign::Minus),
        _ => None,
    }
}

fn duration_op(operator: BinaryOp) -> Option<DurationOp> {
    Some(match operator {
        BinaryOp::Add => DurationOp::Add,
        BinaryOp::Sub => DurationOp::Sub,
        BinaryOp::Mul => DurationOp::Mul,
        BinaryOp::Div => DurationOp::Div,
        BinaryOp::Mod => DurationOp::Mod,
        BinaryOp::Pow => DurationOp::Pow,
        _ => return None,
    })
}
