//! What a matcher asks of an index: to keep the series of some values, or to drop them.
//!
//! An absent label has the empty value. So a matcher that refuses the empty value needs the label: its series are
//! those of the values that it accepts. One that accepts the empty value takes away the series of the values that it
//! refuses. The idea of the two kinds is that of `PostingsForMatchers` in Prometheus's `tsdb/querier.go`.

use crate::model::matcher::Matcher;

/// What a matcher asks of the index.
pub(super) struct PostingsFilter<'m> {
    pub(super) name: &'m str,
    /// Whether the series of `values` are kept, and no others; or they are dropped, and no others.
    pub(super) includes: bool,
    pub(super) values: ValueSet<'m>,
}

/// Some of the values of a label.
pub(super) enum ValueSet<'m> {
    Listed(&'m [String]),
    /// Those that begin with `prefix` and that the matcher accepts (to keep) or refuses (to drop).
    Scanned {
        prefix: &'m str,
        matcher: &'m Matcher,
    },
    Every,
}

impl<'m> PostingsFilter<'m> {
    /// `None` for a matcher that every series satisfies.
    pub(super) fn from_matcher(matcher: &'m Matcher) -> Option<Self> {
        let keeps = !matcher.matches_empty();
        // Whether `values` are those that the matcher's value or expression names, or all but those.
        let named = keeps != matcher.is_negative();
        let values = match (matcher.set_matches(), named) {
            (Some(set), true) => ValueSet::Listed(set),
            (Some([only]), false) if only.is_empty() => ValueSet::Every,
            _ if matcher.matches_every_nonempty() && !named => {
                // All but every value: to keep none, or to drop none.
                return keeps.then_some(Self {
                    name: matcher.name(),
                    includes: keeps,
                    values: ValueSet::Listed(&[]),
                });
            }
            _ if matcher.matches_every_nonempty() => ValueSet::Every,
            _ => {
                let prefix = if named { matcher.prefix().unwrap_or_default() } else { "" };
                ValueSet::Scanned { prefix, matcher }
            }
        };
        Some(Self { name: matcher.name(), includes: keeps, values })
    }
}
