//! Parts of the grammar, for messages about unexpected tokens.

use std::fmt;

/// Part of the grammar, and what it expects next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Any part that no other variant names.
    Other,
    /// Inside of an aggregation, or behind its name and labels.
    Aggregation,
    /// Behind `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`.
    GroupingStart,
    /// A label of a grouping.
    GroupingLabel,
    /// Behind a label of a grouping.
    GroupingEnd,
    /// A matcher.
    Matcher,
    /// Behind the label of a matcher.
    MatcherOperator,
    /// Behind the operator of a matcher.
    MatcherValue,
    /// Behind a matcher.
    MatcherEnd,
    /// Behind `offset`.
    Offset,
    /// Behind `@`.
    At,
    /// Behind `[`.
    Range,
    /// Behind the duration of a range.
    RangeEnd,
    /// Behind the colon of a subquery.
    Step,
    /// Behind the step of a subquery.
    StepEnd,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "",
            Self::Aggregation => " in aggregation",
            Self::GroupingStart => " in grouping opts, expected \"(\"",
            Self::GroupingLabel => " in grouping opts, expected label",
            Self::GroupingEnd => " in grouping opts, expected \",\" or \")\"",
            Self::Matcher => " in label matching, expected identifier or \"}\"",
            Self::MatcherOperator => " in label matching, expected label matching operator",
            Self::MatcherValue => " in label matching, expected string",
            Self::MatcherEnd => " in label matching, expected \",\" or \"}\"",
            Self::Offset => " in offset, expected number, duration, step(), or range()",
            Self::At => " in @, expected timestamp",
            Self::Range => {
                " in subquery or range selector, expected number, duration, step(), or range()"
            }
            Self::RangeEnd => " in subquery or range, expected \":\" or \"]\"",
            Self::Step => {
                " in subquery selector, expected number, duration, step(), range(), or \"]\""
            }
            Self::StepEnd => " in subquery selector, expected \"]\"",
        })
    }
}
