//! Selection of a Thanos request: matchers, external labels and query shard.
//!
//! Thanos selects series by their labels including the external ones. A matcher for an external
//! label is evaluated at once; if it fails, nothing is selected. The remaining matchers go to the
//! stored series. None remaining is an error, as in Thanos's stores.

use crate::model::labels::{Labels, LabelsBuilder};
use crate::model::matcher::Matcher;
use crate::remote::external_labels::ExternalLabels;
use crate::remote::pb::prometheus;
use crate::remote::pb::thanos as pb;
use crate::remote::read::read_request;
use crate::remote::read::read_request::RemoteReadError;
use xxhash_rust::xxh64::xxh64;

/// Maximum number of matchers, and of entries in other lists, of one request.
const MAX_LIST: usize = 1000;

/// Series that a request selects.
#[derive(Debug, Clone)]
pub enum SeriesSelection {
    /// Nothing, because a matcher for an external label fails.
    Nothing,
    /// Series that satisfy all of these matchers; the list may be empty.
    Matching(Vec<Matcher>),
}

impl SeriesSelection {
    /// Decodes matchers and evaluates those for external labels.
    ///
    /// # Errors
    /// [`RemoteReadError`] for an invalid matcher or too many of them.
    pub fn from_wire(
        wire: &[pb::LabelMatcher],
        external: &ExternalLabels,
    ) -> Result<Self, RemoteReadError> {
        check_list_len(wire, "matchers")?;
        let known = |matcher: &pb::LabelMatcher| prometheus::LabelMatcher {
            r#type: matcher.r#type,
            name: matcher.name.clone(),
            value: matcher.value.clone(),
        };
        let wire: Vec<_> = wire.iter().map(known).collect();
        Ok(Self::from_matchers(read_request::matchers(&wire)?, external))
    }

    /// Evaluates matchers for external labels and keeps the others.
    #[must_use]
    pub fn from_matchers(matchers: Vec<Matcher>, external: &ExternalLabels) -> Self {
        let mut remaining = Vec::with_capacity(matchers.len());
        for matcher in matchers {
            match external.labels().and_then(|labels| labels.get(matcher.name())) {
                None => remaining.push(matcher),
                Some(value) if matcher.matches(value) => {}
                Some(_) => return Self::Nothing,
            }
        }
        Self::Matching(remaining)
    }
}

/// Checks the length of a list.
pub(crate) fn check_list_len<T>(list: &[T], what: &'static str) -> Result<(), RemoteReadError> {
    if list.len() > MAX_LIST {
        Err(RemoteReadError::TooMany { what, limit: MAX_LIST })
    } else {
        Ok(())
    }
}

/// Labels that the response adds to every series and removes from it.
#[derive(Debug, Clone)]
pub struct LabelRewrite {
    added: ExternalLabels,
    removed: Vec<String>,
}

impl LabelRewrite {
    /// Adds the labels of `external` and removes those named in `without`, also from `external`.
    #[must_use]
    pub fn new(external: &ExternalLabels, without: &[String]) -> Self {
        let kept =
            external.iter().filter(|(name, _)| !without.iter().any(|removed| removed == name));
        // A subset of valid labels is valid.
        let added = ExternalLabels::new(kept).unwrap_or_default();
        Self { added, removed: without.to_vec() }
    }

    /// Returns the labels that are added.
    #[must_use]
    pub fn added(&self) -> &ExternalLabels {
        &self.added
    }

    /// Returns the names that are removed or replaced. A series without them keeps its order.
    pub fn affected_names(&self) -> impl Iterator<Item = &str> {
        self.removed.iter().map(String::as_str).chain(self.added.iter().map(|(name, _)| name))
    }

    /// Returns the labels of a series in the response. An external label replaces one of the same
    /// name. `None` if no label remains.
    #[must_use]
    pub fn apply(&self, series: &Labels) -> Option<Labels> {
        let is_affected = |name: &str| self.affected_names().any(|affected| affected == name);
        let own = series.iter().filter(|(name, _)| !is_affected(name));
        own.chain(self.added.iter()).collect::<LabelsBuilder<'_>>().build().ok()
    }
}

impl LabelRewrite {
    /// Returns `labels` with the added label `name`.
    #[must_use]
    pub(crate) fn insert_label(&self, labels: &Labels, name: &str) -> Labels {
        let added = self.added.iter().filter(|(added, _)| *added == name);
        let all = labels.iter().chain(added).collect::<LabelsBuilder<'_>>().build();
        all.unwrap_or_else(|_| labels.clone())
    }
}

/// Query shard: a part of all series by the hash of some labels, as in Thanos
/// (`pkg/store/storepb/shard_info.go`).
#[derive(Debug, Clone)]
pub struct QueryShard {
    index: u64,
    total: u64,
    by: bool,
    names: Vec<String>,
    bytes: Vec<u8>,
}

impl QueryShard {
    /// Decodes the shard of a request; `None` if it selects all series.
    ///
    /// # Errors
    /// [`RemoteReadError::TooMany`] if it names too many labels.
    pub fn from_wire(wire: Option<&pb::ShardInfo>) -> Result<Option<Self>, RemoteReadError> {
        let Some(wire) = wire.filter(|wire| wire.total_shards >= 1) else { return Ok(None) };
        check_list_len(&wire.labels, "labels of a shard")?;
        let (index, total) = (wire.shard_index as u64, wire.total_shards as u64);
        Ok(Some(Self { index, total, by: wire.by, names: wire.labels.clone(), bytes: Vec::new() }))
    }

    /// Returns `true` if a series with these labels, as in the response, is in the shard.
    pub fn contains(&mut self, labels: &Labels) -> bool {
        self.bytes.clear();
        for (name, value) in labels.iter() {
            if self.names.iter().any(|named| named == name) == self.by {
                for text in [name, value] {
                    self.bytes.extend_from_slice(text.as_bytes());
                    self.bytes.push(0xff);
                }
            }
        }
        xxh64(&self.bytes, 0) % self.total == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::{LabelRewrite, QueryShard, SeriesSelection};
    use crate::model::labels::{Labels, LabelsBuilder};
    use crate::remote::external_labels::ExternalLabels;
    use crate::remote::pb::thanos as pb;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect::<LabelsBuilder<'_>>().build().unwrap()
    }

    fn external() -> ExternalLabels {
        ExternalLabels::new([("cluster", "a"), ("replica", "r1")]).unwrap()
    }

    fn matcher(r#type: i32, name: &str, value: &str) -> pb::LabelMatcher {
        pb::LabelMatcher { r#type, name: name.into(), value: value.into() }
    }

    #[test]
    fn external_label_matchers_are_evaluated_at_once() {
        let of = |wire: &[pb::LabelMatcher]| SeriesSelection::from_wire(wire, &external());
        let remaining = |wire: &[pb::LabelMatcher]| match of(wire).unwrap() {
            SeriesSelection::Nothing => None,
            SeriesSelection::Matching(remaining) => Some(remaining.len()),
        };
        let up = || matcher(0, "__name__", "up");
        assert_eq!(remaining(&[up(), matcher(0, "cluster", "a")]), Some(1));
        assert_eq!(
            remaining(&[up(), matcher(2, "replica", "r.*"), matcher(3, "cluster", "b|c")]),
            Some(1)
        );
        assert_eq!(remaining(&[up(), matcher(1, "cluster", "a")]), None);
        assert_eq!(remaining(&[matcher(0, "cluster", "a")]), Some(0));
        assert!(of(&[matcher(7, "x", "y")]).is_err());
        assert!(of(&[matcher(2, "x", "(")]).is_err());
        assert!(of(&vec![up(); 1001]).is_err());
    }

    #[test]
    fn external_labels_replace_and_removed_ones_vanish() {
        let series = labels(&[("__name__", "up"), ("cluster", "own"), ("zone", "z")]);
        let named = |without: &[&str]| {
            let without: Vec<String> = without.iter().map(|name| (*name).to_owned()).collect();
            LabelRewrite::new(&external(), &without).apply(&series)
        };
        let expected = [("__name__", "up"), ("cluster", "a"), ("replica", "r1"), ("zone", "z")];
        assert_eq!(named(&[]), Some(labels(&expected)));
        assert_eq!(
            named(&["replica", "zone"]),
            Some(labels(&[("__name__", "up"), ("cluster", "a")]))
        );
        assert_eq!(named(&["replica", "zone", "cluster", "__name__"]), None);
    }

    #[test]
    fn shards_match_thanos() {
        let shard = |index, by, names: &[&str]| {
            let labels = names.iter().map(|name| (*name).to_owned()).collect();
            QueryShard::from_wire(Some(&pb::ShardInfo {
                shard_index: index,
                total_shards: 3,
                by,
                labels,
            }))
            .unwrap()
            .unwrap()
        };
        let all: Vec<Labels> = (0..100)
            .map(|i| labels(&[("a", &i.to_string()), ("b", &(i % 7).to_string())]))
            .collect();
        for (by, names) in [(true, &["b"][..]), (false, &["a"]), (false, &[])] {
            let mut shards = [0, 1, 2].map(|index| shard(index, by, names));
            for series in &all {
                assert_eq!(
                    shards
                        .iter_mut()
                        .filter_map(|shard| shard.contains(series).then_some(()))
                        .count(),
                    1
                );
            }
        }
        // Sharding by `b` and by all labels but `a` are the same here.
        for series in &all {
            assert_eq!(
                shard(1, true, &["b"]).contains(series),
                shard(1, false, &["a"]).contains(series)
            );
        }
        // An empty label set is hashed too: 0xef46db3751d8e999 % 3 is 1.
        assert!(
            (0..3).filter(|index| shard(*index, true, &[]).contains(&all[0])).eq([
                0xef46_db37_51d8_e999_u64 as i128 % 3
            ]
            .into_iter()
            .map(|index| index as i64))
        );
        assert!(QueryShard::from_wire(Some(&pb::ShardInfo::default())).unwrap().is_none());
    }
}
