//! Values of any shape as JSON.

use crate::config::yaml::scalar::{Resolved, resolve};
use crate::config::yaml::tree::{Node, NodeKind};
use crate::config::yaml::value::Value;
use serde_json::{Map, Number, Value as Json};

/// Returns a value as JSON. A float that JSON does not have is null.
pub(crate) fn of(value: &Value<'_>) -> Json {
    of_node(value.node())
}

/// The composer limits the depth.
fn of_node(node: &Node) -> Json {
    match &node.kind {
        NodeKind::Sequence(items) => items.iter().map(of_node).collect(),
        NodeKind::Mapping(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.clone(), of_node(&entry.value)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
        NodeKind::Scalar(scalar) => match resolve(scalar) {
            Resolved::Null => Json::Null,
            Resolved::Bool(value) => value.into(),
            Resolved::Unsigned(value) => value.into(),
            Resolved::Negative(value) => value.into(),
            Resolved::Float(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
            Resolved::Text => scalar.text.as_str().into(),
        },
    }
}
