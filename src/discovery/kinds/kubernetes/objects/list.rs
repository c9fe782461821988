//! Pages of lists.

use crate::discovery::kinds::kubernetes::objects::nullable::nullable;
use serde::Deserialize;

/// Page of a list.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(crate) struct ListPage<T> {
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) metadata: ListMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub(crate) items: Vec<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ListMeta {
    /// Version of the list, from which a watch goes on.
    #[serde(deserialize_with = "nullable")]
    pub(crate) resource_version: String,
    /// Token for the next page; empty at the last one.
    #[serde(rename = "continue", deserialize_with = "nullable")]
    pub(crate) next: String,
}
