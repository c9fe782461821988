//! Objects of the API, reduced to the fields that labels and addresses need.
//!
//! A missing field and null are the zero of its type, as in Go. Everything else of an object, such
//! as `managedFields`, is skipped while it is parsed.
//!
//! | module | content |
//! |---|---|
//! | [`endpoint_slice`] | endpoint slices |
//! | [`endpoints`] | endpoints |
//! | [`ingress`] | ingresses |
//! | [`list`] | pages of lists |
//! | [`meta`] | metadata of all objects |
//! | [`namespace`] | namespaces |
//! | [`node`] | nodes |
//! | `nullable` | fields that may be null |
//! | [`owned`] | replica sets and jobs |
//! | [`pod`] | pods |
//! | [`port`] | ports of services and endpoints |
//! | [`resource`] | resources of the API and keys of their objects |
//! | [`service`] | services |
//! | [`status`] | errors of the API |

pub(crate) mod endpoint_slice;
pub(crate) mod endpoints;
pub(crate) mod ingress;
pub(crate) mod list;
pub(crate) mod meta;
pub(crate) mod namespace;
pub(crate) mod node;
mod nullable;
pub(crate) mod owned;
pub(crate) mod pod;
pub(crate) mod port;
pub(crate) mod resource;
pub(crate) mod service;
pub(crate) mod status;
