//! Durations: fixed ones, and expressions such as `step() * 2` whose value depends on the query.

use crate::promql::ast::operator::Sign;
use crate::promql::ast::position::{DurationId, Span};
use std::fmt;

/// Signed duration, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanoseconds(pub i64);

/// Units of the text of a duration, milliseconds. Years and weeks occur only without a remainder.
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 24 * 3_600_000, true),
    ("w", 7 * 24 * 3_600_000, true),
    ("d", 24 * 3_600_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

impl Nanoseconds {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// Returns the nearest duration; half a nanosecond is rounded away from zero. As in Prometheus,
    /// NaN, which only `offset` accepts, becomes the smallest duration.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Self {
        let nanos = (seconds * 1e9).round();
        Self(if nanos.is_nan() { i64::MIN } else { nanos as i64 })
    }

    /// Returns a duration of milliseconds; longer ones wrap around.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.wrapping_mul(1_000_000))
    }

    /// Returns the duration as seconds.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        (self.0 / 1_000_000_000) as f64 + (self.0 % 1_000_000_000) as f64 / 1e9
    }

    /// Returns whole milliseconds; the rest is cut off.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0 / 1_000_000
    }
}

/// Displays milliseconds as Prometheus does: `1h30m`, `90d`, `0s`.
impl fmt::Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.as_millis().unsigned_abs();
        if rest == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        for (unit, size, must_be_exact) in UNITS {
            let count = if must_be_exact && !rest.is_multiple_of(size) { 0 } else { rest / size };
            if count > 0 {
                write!(f, "{count}{unit}")?;
                rest -= count * size;
            }
        }
        Ok(())
    }
}

/// Duration of a range, an offset or a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationValue {
    /// Known when the expression is parsed.
    Fixed(Nanoseconds),
    /// Computed when the step and the range of the query are known.
    Computed(DurationId),
}

impl DurationValue {
    /// Returns `true` if the duration is fixed and 0, which stands for an absent one.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

impl Default for DurationValue {
    fn default() -> Self {
        Self::Fixed(Nanoseconds::ZERO)
    }
}

/// Node of a duration expression.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationNode {
    /// Position in the text. Prometheus leaves out the parenthesis at the end, and with a binary
    /// operator or a function everything before the first and after the last operand.
    pub span: Span,
    /// Whether the node is in parentheses.
    pub is_wrapped: bool,
    /// Operation and operands.
    pub expr: DurationExpr,
}

/// Operation of a duration expression. Values are seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DurationExpr {
    /// A number or duration literal.
    Number {
        /// Seconds.
        seconds: f64,
        /// Whether the literal is written with units.
        has_units: bool,
    },
    /// `step()`: the step of the query.
    Step,
    /// `range()`: the time between start and end of the query.
    Range,
    /// A sign. `+` occurs with a function after `offset`, and as the wrapper of a number in
    /// parentheses.
    Unary(Sign, DurationId),
    /// An operation on two durations.
    Binary(DurationOp, DurationId, DurationId),
}

/// Operation on two durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationOp {
    /// `+`.
    Add,
    /// `-`.
    Sub,
    /// `*`.
    Mul,
    /// `/`.
    Div,
    /// `%`.
    Mod,
    /// `^`.
    Pow,
    /// `min_of(a, b)`.
    MinOf,
    /// `max_of(a, b)`.
    MaxOf,
}

impl DurationOp {
    /// Returns the operator or the name of the function.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::MinOf => "min_of",
            Self::MaxOf => "max_of",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Nanoseconds;

    #[test]
    fn duration_has_the_text_of_prometheus() {
        let text = |ms: i64| Nanoseconds(ms * 1_000_000).to_string();
        for (ms, expected) in [
            (0, "0s"),
            (1, "1ms"),
            (5_400_000, "1h30m"),
            (-1_500, "-1s500ms"),
            (7 * 86_400_000, "1w"),
            (90 * 86_400_000, "90d"),
            (365 * 86_400_000, "1y"),
            (366 * 86_400_000, "366d"),
            (372 * 86_400_000, "372d"),
            (730 * 86_400_000, "2y"),
        ] {
            assert_eq!(text(ms), expected);
        }
        assert_eq!(Nanoseconds(-999_999).to_string(), "0s");
    }

    #[test]
    fn half_a_nanosecond_is_rounded_away_from_zero() {
        assert_eq!(Nanoseconds::from_seconds(2.5e-9), Nanoseconds(3));
        assert_eq!(Nanoseconds::from_seconds(-2.5e-9), Nanoseconds(-3));
        assert_eq!(Nanoseconds::from_seconds(0.001).as_millis(), 1);
    }
}
