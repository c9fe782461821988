//! Resources of the API and keys of their objects.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;

/// Key of an object in its resource: `namespace/name`, or the name alone.
pub(crate) type ObjectKey = Arc<str>;

/// Object of a resource.
pub(crate) trait Resource:
    Debug + DeserializeOwned + Serialize + PartialEq + Send + Sync + 'static
{
    /// Resource of the object.
    const PATH: ResourcePath;

    /// Returns the namespace, which is empty if the object has none, and the name.
    fn identity(&self) -> (&str, &str);
}

/// Place of a resource in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// Path of group and version, such as `/apis/apps/v1`.
    pub(crate) group: &'static str,
    /// Name of the resource, such as `pods`.
    pub(crate) plural: &'static str,
}

/// Returns the key of an object.
pub(crate) fn object_key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}
