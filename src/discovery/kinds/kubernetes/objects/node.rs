//! Nodes.

use crate::discovery::kinds::kubernetes::objects::meta::ObjectMeta;
use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use crate::discovery::kinds::kubernetes::objects::resource::{Resource, ResourcePath};
use serde::{Deserialize, Serialize};

/// Node.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Node {
    #[serde(deserialize_with = "nullable")]
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) spec: NodeSpec,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: NodeStatus,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct NodeSpec {
    #[serde(rename = "providerID", deserialize_with = "nullable")]
    pub(crate) provider_id: String,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NodeStatus {
    #[serde(deserialize_with = "nullable")]
    pub(crate) addresses: Vec<NodeAddress>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) daemon_endpoints: DaemonEndpoints,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct NodeAddress {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) address: String,
}

/// Condition of a node or a pod.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Condition {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: String,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct DaemonEndpoints {
    #[serde(deserialize_with = "nullable")]
    pub(crate) kubelet_endpoint: DaemonEndpoint,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct DaemonEndpoint {
    /// The only key of the API in upper case.
    #[serde(rename = "Port", deserialize_with = "nullable")]
    pub(crate) port: i32,
}

impl Resource for Node {
    const PATH: ResourcePath = ResourcePath { group: "/api/v1", plural: "nodes" };

    fn identity(&self) -> (&str, &str) {
        ("", &self.metadata.name)
    }
}
