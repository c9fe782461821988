//! Parser of expressions and selectors.
//!
//! | module | contents |
//! |---|---|
//! | `duration` | durations in brackets and behind `offset` |
//! | `expression` | operands, operators, calls and parentheses |
//! | `grouping` | label names in parentheses |
//! | `limits` | limits of length, nodes and depth |
//! | `literal` | values of numbers and durations |
//! | `matching` | modifiers of operators |
//! | `modifiers` | what follows an operand |
//! | `precedence` | precedence of operators |
//! | `selector` | selectors of series |
//! | `tokens` | token stream with look-ahead |

mod duration;
mod expression;
mod grouping;
mod limits;
mod literal;
mod matching;
mod modifiers;
mod precedence;
mod selector;
mod tokens;

use crate::model::matcher::Matcher;
use crate::promql::ast::tree::Ast;
use crate::promql::check;
use crate::promql::error::ParseError;
use crate::promql::error::unexpected::Context;
use crate::promql::features::Features;
use crate::promql::lexer::token::TokenKind;
use expression::ExpressionParser;
use tokens::Tokens;

/// Parses an expression and checks its types. The text need not be UTF-8.
///
/// # Errors
/// [`ParseError`] if the expression is invalid, or larger than narthex accepts.
pub fn parse_expression(text: &[u8], features: Features) -> Result<Ast, ParseError> {
    limits::check_length(text)?;
    let mut ast = ExpressionParser::new(text, features).parse()?;
    check::check(&mut ast, text)?;
    Ok(ast)
}

/// Parses a selector without modifiers, which may select every series.
///
/// # Errors
/// [`ParseError`] if the selector is invalid, or larger than narthex accepts.
pub fn parse_selector(text: &[u8]) -> Result<Vec<Matcher>, ParseError> {
    limits::check_length(text)?;
    let mut tokens = Tokens::new(text);
    let (selector, _) = match tokens.peek()? {
        TokenKind::LeftBrace => selector::unnamed(&mut tokens)?,
        kind if kind.is_metric_name() => {
            let name = tokens.take()?;
            selector::named(&mut tokens, name)?
        }
        _ => return tokens.unexpected(Context::Other),
    };
    tokens.expect(TokenKind::End, Context::Other)?;
    Ok(selector.matchers.iter().map(|matcher| matcher.matcher().clone()).collect())
}
