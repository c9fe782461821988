//! Errors of the API.

use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use serde::Deserialize;

/// Error of the API, as a body and as an event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApiStatus {
    /// HTTP status.
    #[serde(deserialize_with = "nullable")]
    pub(crate) code: u16,
    /// Identifier of the error, such as `Expired`.
    #[serde(deserialize_with = "nullable")]
    pub(crate) reason: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) message: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) details: StatusDetails,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StatusDetails {
    /// Time to wait before the next attempt; 0 means none.
    #[serde(deserialize_with = "nullable")]
    pub(crate) retry_after_seconds: u32,
}
