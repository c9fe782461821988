//! Ports of services and endpoints.

use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use serde::{Deserialize, Serialize};

/// Port of a service or of endpoints.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ObjectPort {
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) port: i32,
    #[serde(deserialize_with = "nullable")]
    pub(crate) protocol: String,
}
