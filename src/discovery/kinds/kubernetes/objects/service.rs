//! Services.

use crate::discovery::kinds::kubernetes::objects::meta::ObjectMeta;
use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use crate::discovery::kinds::kubernetes::objects::port::ObjectPort;
use crate::discovery::kinds::kubernetes::objects::resource::{Resource, ResourcePath};
use serde::{Deserialize, Serialize};

/// Service.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Service {
    #[serde(deserialize_with = "nullable")]
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) spec: ServiceSpec,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServiceSpec {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub(crate) kind: String,
    #[serde(rename = "clusterIP", deserialize_with = "nullable")]
    pub(crate) cluster_ip: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) external_name: String,
    #[serde(rename = "loadBalancerIP", deserialize_with = "nullable")]
    pub(crate) load_balancer_ip: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ports: Vec<ObjectPort>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) ip_family_policy: String,
    /// The primary family first.
    #[serde(deserialize_with = "nullable")]
    pub(crate) ip_families: Vec<String>,
}

impl Resource for Service {
    const PATH: ResourcePath = ResourcePath { group: "/api/v1", plural: "services" };

    fn identity(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }
}
