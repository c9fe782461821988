//! Translation of a matcher into a filter on posting lists.
//!
//! An absent label counts as the empty value. A matcher that rejects the empty value requires the
//! label, so it includes the series of all values that it accepts. A matcher that accepts the empty
//! value excludes the series of all values that it rejects. Source: `PostingsForMatchers` in
//! Prometheus's `tsdb/querier.go`.

use crate::model::matcher::Matcher;

/// Filter on the values of one label.
pub(super) struct PostingsFilter<'m> {
    pub(super) name: &'m str,
    /// `true`: only series with one of `values` match. `false`: only series without them match.
    pub(super) includes: bool,
    pub(super) values: ValueSet<'m>,
}

/// Set of values of a label.
pub(super) enum ValueSet<'m> {
    Listed(&'m [String]),
    /// Values with this prefix that the matcher accepts (filter includes) or rejects (excludes).
    Scanned {
        prefix: &'m str,
        matcher: &'m Matcher,
    },
    Every,
}

impl<'m> PostingsFilter<'m> {
    /// Returns the filter for a matcher, or `None` if every series satisfies it.
    pub(super) fn from_matcher(matcher: &'m Matcher) -> Option<Self> {
        let includes = !matcher.matches_empty();
        // `true`: `values` are those of the pattern. `false`: they are all other values.
        let is_pattern = includes != matcher.is_negative();
        let values = match (matcher.set_matches(), is_pattern) {
            (Some(set), true) => ValueSet::Listed(set),
            (Some([only]), false) if only.is_empty() => ValueSet::Every,
            _ if matcher.matches_every_nonempty() && !is_pattern => {
                // The complement of all values: includes no series, or excludes none.
                return includes.then_some(Self {
                    name: matcher.name(),
                    includes,
                    values: ValueSet::Listed(&[]),
                });
            }
            _ if matcher.matches_every_nonempty() => ValueSet::Every,
            _ => {
                let prefix = if is_pattern { matcher.prefix().unwrap_or_default() } else { "" };
                ValueSet::Scanned { prefix, matcher }
            }
        };
        Some(Self { name: matcher.name(), includes, values })
    }
}
