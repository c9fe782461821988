//! PromQL: parser, syntax tree and printers of the language of Prometheus 3.14.
//!
//! # Grammar
//! ```text
//! expression  = operand | sign expression | expression operator modifiers expression
//! operand     = number | duration | string | selector | call | aggregation
//!             | "(" expression ")" | operand range | operand subquery | operand time
//! selector    = name [matchers] | matchers
//! matchers    = "{" [matcher {"," matcher}] [","] "}"
//! matcher     = label ("=" | "!=" | "=~" | "!~") string | string
//! call        = function "(" [expression {"," expression}] ")"
//! aggregation = name [grouping] "(" [parameter ","] expression ")" [grouping]
//! grouping    = ("by" | "without") labels
//! labels      = "(" [label {"," label}] [","] ")"
//! range       = "[" duration "]" ["anchored" | "smoothed"]
//! subquery    = "[" duration ":" [duration] "]"
//! time        = "offset" duration | "@" (number | "start()" | "end()")
//! modifiers   = ["bool"] [("on" | "ignoring") labels [("group_left" | "group_right") [labels]]]
//!               ["fill" value | "fill_left" value | "fill_right" value]
//! ```
//! `anchored` and `smoothed` also follow a selector without a range. The grammar of durations is at
//! `parser::duration`. Comments begin with `#`. Keywords have any case, and most are names
//! elsewhere.
//!
//! # Precedence
//! From the lowest; operators associate to the left except `^`.
//!
//! | operators |
//! |---|
//! | `or` |
//! | `and`, `unless` |
//! | `==`, `!=`, `<`, `<=`, `>`, `>=`, `</`, `>/` |
//! | `+`, `-` |
//! | `*`, `/`, `%`, `atan2`, signs |
//! | `^` |
//! | ranges, subqueries, `offset`, `@`, `anchored`, `smoothed` |
//!
//! # Bounds
//! Length, nodes and depth of an expression are bounded, and neither the parser nor the passes over
//! its tree recurse, so no expression exhausts the stack.
//!
//! | module | contents |
//! |---|---|
//! | [`ast`] | syntax tree |
//! | `check` | types of operands and arguments |
//! | [`error`] | errors, in Prometheus's words |
//! | [`features`] | parts of the language that must be enabled |
//! | `lexer` | tokens |
//! | [`parser`] | parser |
//! | [`mod@print`] | text, formatted text and JSON of a tree |
//! | [`selectors`] | selectors on their own, and those of an expression |

pub mod ast;
mod check;
pub mod error;
pub mod features;
mod lexer;
pub mod parser;
pub mod print;
pub mod selectors;

#[cfg(test)]
mod tests;
