//! Ingresses.

use crate::discovery::kinds::kubernetes::objects::meta::ObjectMeta;
use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use crate::discovery::kinds::kubernetes::objects::resource::{Resource, ResourcePath};
use serde::{Deserialize, Serialize};

/// Ingress.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Ingress {
    #[serde(deserialize_with = "nullable")]
    pub(crate) metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    pub(crate) spec: IngressSpec,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressSpec {
    pub(crate) ingress_class_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) tls: Vec<IngressTls>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) rules: Vec<IngressRule>,
}

/// Hosts with a common certificate.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct IngressTls {
    #[serde(deserialize_with = "nullable")]
    pub(crate) hosts: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct IngressRule {
    #[serde(deserialize_with = "nullable")]
    pub(crate) host: String,
    pub(crate) http: Option<HttpRule>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct HttpRule {
    #[serde(deserialize_with = "nullable")]
    pub(crate) paths: Vec<HttpPath>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct HttpPath {
    #[serde(deserialize_with = "nullable")]
    pub(crate) path: String,
}

impl Resource for Ingress {
    const PATH: ResourcePath =
        ResourcePath { group: "/apis/networking.k8s.io/v1", plural: "ingresses" };

    fn identity(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }
}
