//! Namespaces.

use crate::discovery::kinds::kubernetes::objects::meta::ObjectMeta;
use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use crate::discovery::kinds::kubernetes::objects::resource::{Resource, ResourcePath};
use serde::{Deserialize, Serialize};

/// Namespace.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Namespace {
    #[serde(deserialize_with = "nullable")]
    pub(crate) metadata: ObjectMeta,
}

impl Resource for Namespace {
    const PATH: ResourcePath = ResourcePath { group: "/api/v1", plural: "namespaces" };

    fn identity(&self) -> (&str, &str) {
        ("", &self.metadata.name)
    }
}
