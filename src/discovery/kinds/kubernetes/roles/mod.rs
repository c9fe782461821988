//! Roles: targets of objects.
//!
//! An object becomes a group of targets. While a group is made, the other objects that it needs
//! are noted; a change of one of them makes the group again.
//!
//! # Differences
//! Prometheus makes the groups of endpoints and slices again only if the phase of a pod changes, so
//! a slice that is known before its pods has no labels of them until it changes itself. Here, each
//! new or changed pod makes them again. As in Prometheus, a removed pod or namespace does not: its
//! endpoints are about to follow, and targets would lose labels before they are gone.
//!
//! | module | content |
//! |---|---|
//! | `container_port` | targets of ports of containers |
//! | [`endpoint_slice`] | role `endpointslice` |
//! | [`endpoints`] | role `endpoints` |
//! | [`ingress`] | role `ingress` |
//! | `labels` | labels of metadata |
//! | [`lookup`] | objects that a group needs |
//! | [`node`] | role `node` |
//! | [`pod`] | role `pod` |
//! | [`related`] | watches of the objects that groups need |
//! | [`service`] | role `service` |
//! | [`target_maker`] | groups of changed objects |
//! | `uses` | objects that groups used |

mod container_port;
pub(crate) mod endpoint_slice;
pub(crate) mod endpoints;
pub(crate) mod ingress;
mod labels;
pub(crate) mod lookup;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod related;
pub(crate) mod service;
pub(crate) mod target_maker;
mod uses;
