//! Lists of groups in JSON and YAML, as files and HTTP servers provide them.
//!
//! # Format
//! `[{"targets": ["host:port", …], "labels": {"name": "value", …}}, …]`. A missing or null field
//! is empty, and so is a null list. An unknown key, a null group and a value that is not a string
//! are errors; in YAML, unquoted numbers and booleans are strings, as in Prometheus.

use crate::discovery::target_group::{LabelSet, TargetGroup, address_labels};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Maximum number of targets of a list.
pub(crate) const MAX_TARGETS: usize = 100_000;
/// Maximum size of a list, bytes.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// Maximum number of nodes of a list in YAML.
const MAX_YAML_NODES: usize = 4_000_000;

/// Error of parsing a list of groups.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupListError {
    /// The text is not JSON, or not a list of groups.
    #[error("invalid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The text is not YAML, or not a list of groups.
    #[error("invalid YAML: {0}")]
    Yaml(Box<serde_saphyr::Error>),
    /// A group is null.
    #[error("group {index} of the list is null")]
    NullGroup {
        /// Position of the group, from 0.
        index: usize,
    },
    /// A label has an empty name.
    #[error("group {index} of the list has a label with an empty name")]
    EmptyLabelName {
        /// Position of the group, from 0.
        index: usize,
    },
    /// The list has more than [`MAX_TARGETS`] targets.
    #[error("list has {count} targets, more than {MAX_TARGETS}")]
    TooManyTargets {
        /// Number of targets.
        count: usize,
    },
}

/// Group as it is listed. JSON keys are compared as Go does, in the usual spellings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonGroup {
    #[serde(default, alias = "Targets", alias = "TARGETS")]
    targets: Option<Vec<Option<String>>>,
    #[serde(default, alias = "Labels", alias = "LABELS")]
    labels: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct YamlGroup {
    #[serde(default)]
    targets: Option<Vec<Option<String>>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, Option<String>>>,
}

impl From<YamlGroup> for JsonGroup {
    fn from(YamlGroup { targets, labels }: YamlGroup) -> Self {
        Self { targets, labels }
    }
}

/// Parses a list in JSON.
pub(crate) fn parse_json(text: &[u8]) -> Result<Vec<TargetGroup>, GroupListError> {
    let groups: Option<Vec<Option<JsonGroup>>> = serde_json::from_slice(text)?;
    checked(groups.unwrap_or_default())
}

/// Parses a list in YAML.
pub(crate) fn parse_yaml(text: &str) -> Result<Vec<TargetGroup>, GroupListError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: MAX_YAML_NODES,
            max_events: 2 * MAX_YAML_NODES,
            max_total_scalar_bytes: MAX_BYTES,
        },
    };
    let groups: Result<Option<Vec<Option<YamlGroup>>>, _> =
        serde_saphyr::from_str_with_options(text, options);
    let groups = groups.map_err(|error| GroupListError::Yaml(Box::new(error)))?;
    checked(groups.unwrap_or_default().into_iter().map(|group| group.map(Into::into)).collect())
}

fn checked(groups: Vec<Option<JsonGroup>>) -> Result<Vec<TargetGroup>, GroupListError> {
    let lists = groups.iter().flatten().filter_map(|group| group.targets.as_ref());
    let count: usize = lists.map(Vec::len).sum();
    if count > MAX_TARGETS {
        return Err(GroupListError::TooManyTargets { count });
    }
    let groups = groups.into_iter().enumerate().map(|(index, group)| {
        let JsonGroup { targets, labels } = group.ok_or(GroupListError::NullGroup { index })?;
        let labels: LabelSet = labels
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name, value.unwrap_or_default()))
            .collect();
        if labels.contains_key("") {
            return Err(GroupListError::EmptyLabelName { index });
        }
        let targets = targets.unwrap_or_default().into_iter();
        let targets = targets.map(|target| address_labels(target.unwrap_or_default()));
        Ok(TargetGroup { source: String::new(), labels, targets: targets.collect() })
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::{GroupListError, MAX_TARGETS, parse_json, parse_yaml};
    use crate::discovery::target_group::TargetGroup;

    /// Formats groups as `labels[addresses]`.
    fn shown(groups: &[TargetGroup]) -> String {
        let groups = groups.iter().map(|group| {
            let labels: Vec<_> = group.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
            let targets: Vec<_> = group.targets.iter().map(|t| t["__address__"].clone()).collect();
            format!("{}[{}]", labels.join(","), targets.join(" "))
        });
        groups.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn json_lists_are_parsed_as_in_prometheus() {
        for (text, expected) in [
            ("[]", ""),
            (" null\n", ""),
            (r#"[{"targets":["a:1","b:2"],"labels":{"x":"y"}}]"#, "x=y[a:1 b:2]"),
            (r#"[{"labels":{"x":"y"}},{"targets":[]},{}]"#, "x=y[] [] []"),
            (r#"[{"targets":null,"labels":null}]"#, "[]"),
            (r#"[{"targets":["a",null],"labels":{"x":null}}]"#, "x=[a ]"),
            (r#"[{"Targets":["a"],"LABELS":{"1x":"z","a.b":"ü"}}]"#, "1x=z,a.b=ü[a]"),
        ] {
            assert_eq!(shown(&parse_json(text.as_bytes()).expect(text)), expected, "{text}");
        }
    }

    #[test]
    fn invalid_json_lists_are_rejected() {
        for text in [
            "",
            "{}",
            "[",
            "[] x",
            r#"[{"targets":["a"],"more":1}]"#,
            r#"[{"targets":["a"],"labels":{"n":5}}]"#,
            r#"[{"targets":[1]}]"#,
            r#"[{"targets":"a"}]"#,
            r#"["a"]"#,
        ] {
            let error = parse_json(text.as_bytes()).expect_err(text);
            assert!(matches!(error, GroupListError::Json(_)), "{text}: {error}");
        }
        let null = parse_json(br#"[{"targets":["a"]},null]"#).expect_err("a null group");
        assert_eq!(null.to_string(), "group 1 of the list is null");
        let empty = parse_json(br#"[{"labels":{"":"x"}}]"#).expect_err("an empty name");
        assert_eq!(empty.to_string(), "group 0 of the list has a label with an empty name");
    }

    #[test]
    fn number_of_targets_is_limited() {
        let list = |count| format!(r#"[{{"targets":[{}"a"]}}]"#, "\"a\",".repeat(count - 1));
        assert!(parse_json(list(MAX_TARGETS).as_bytes()).is_ok());
        let error = parse_json(list(MAX_TARGETS + 1).as_bytes()).expect_err("too many");
        assert_eq!(error.to_string(), "list has 100001 targets, more than 100000");
    }

    #[test]
    fn yaml_lists_are_parsed_as_in_prometheus() {
        for (text, expected) in [
            ("", ""),
            ("# nothing\n", ""),
            ("[]", ""),
            (
                "- targets: [g:1]\n  labels: {from: yml, num: 5}\n- targets:\n  - g:2\n",
                "from=yml,num=5[g:1] [g:2]",
            ),
            (
                "- labels: {a: true, b: 1.50, c: null, d: ~}\n  targets: [5]\n",
                "a=true,b=1.50,c=,d=[5]",
            ),
            ("- targets:\n", "[]"),
        ] {
            assert_eq!(shown(&parse_yaml(text).expect(text)), expected, "{text}");
        }
    }

    #[test]
    fn invalid_yaml_lists_are_rejected() {
        for text in [
            "a",
            "targets: [a]",
            "- targets: [a]\n  more: 1\n",
            "- targets: [a]\n  targets: [b]\n",
            "- labels: {a: b, a: c}\n",
            "- targets: {a: b}\n",
            "- targets: [[a]]\n",
            "- targets: [a\n",
            "- Targets: [a]\n",
        ] {
            let error = parse_yaml(text).expect_err(text);
            assert!(matches!(error, GroupListError::Yaml(_)), "{text}: {error}");
        }
        let null = parse_yaml("- targets: [a]\n-\n").expect_err("a null group");
        assert_eq!(null.to_string(), "group 1 of the list is null");
    }
}
