//! Endpoints, which endpoint slices replace since Kubernetes 1.33.

use crate::discovery::kinds::kubernetes::objects::meta::{ObjectMeta, ObjectReference};
use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use crate::discovery::kinds::kubernetes::objects::port::ObjectPort;
use crate::discovery::kinds::kubernetes::objects::resource::{Resource, ResourcePath};
use serde::{Deserialize, Serialize};

/// Endpoints of a service.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Endpoints {
    #[serde(deserialize_with = "nullable")]
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) subsets: Vec<EndpointSubset>,
}

/// Addresses with common ports.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointSubset {
    #[serde(deserialize_with = "nullable")]
    pub(crate) addresses: Vec<EndpointAddress>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) not_ready_addresses: Vec<EndpointAddress>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ports: Vec<ObjectPort>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointAddress {
    #[serde(deserialize_with = "nullable")]
    pub(crate) ip: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) hostname: String,
    pub(crate) node_name: Option<String>,
    pub(crate) target_ref: Option<ObjectReference>,
}

impl Resource for Endpoints {
    const PATH: ResourcePath = ResourcePath { group: "/api/v1", plural: "endpoints" };

    fn identity(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }
}
