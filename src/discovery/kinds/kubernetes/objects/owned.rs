//! Replica sets and jobs, which link pods with deployments and cron jobs.

use crate::discovery::kinds::kubernetes::objects::meta::OwnerReference;
use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use crate::discovery::kinds::kubernetes::objects::resource::{Resource, ResourcePath};
use serde::{Deserialize, Serialize};

/// Replica set, with its owners only.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ReplicaSet {
    #[serde(deserialize_with = "nullable")]
    pub(crate) metadata: OwnedMeta,
}

/// Job, with its owners only.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Job {
    #[serde(deserialize_with = "nullable")]
    pub(crate) metadata: OwnedMeta,
}

/// Metadata of an object without labels and annotations.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct OwnedMeta {
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) owner_references: Vec<OwnerReference>,
}

impl Resource for ReplicaSet {
    const PATH: ResourcePath = ResourcePath { group: "/apis/apps/v1", plural: "replicasets" };

    fn identity(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }
}

impl Resource for Job {
    const PATH: ResourcePath = ResourcePath { group: "/apis/batch/v1", plural: "jobs" };

    fn identity(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }
}
