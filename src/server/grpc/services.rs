//! The services that are offered: the one list that health and reflection go by.

use crate::server::grpc::{read, thanos_exemplars, thanos_info, thanos_store, thanos_write, write};

/// A service and what it needs to be of use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GrpcService {
    /// Its full name.
    pub(crate) name: &'static str,
    /// When it serves.
    pub(crate) serves: ServingCondition,
}

/// When a service serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServingCondition {
    /// From the end of the replay until the server drains.
    WhenReady,
    /// The same, but only while writes are taken: not while the disk is full or the log broken.
    WhenWritable,
}

/// All of them, besides health and reflection.
pub(crate) const SERVICES: [GrpcService; 7] = [
    GrpcService { name: write::SERVICE, serves: ServingCondition::WhenWritable },
    GrpcService { name: read::SERVICE, serves: ServingCondition::WhenReady },
    GrpcService { name: thanos_write::SERVICE, serves: ServingCondition::WhenWritable },
    GrpcService { name: thanos_store::SERVICE, serves: ServingCondition::WhenReady },
    GrpcService { name: thanos_info::SERVICE, serves: ServingCondition::WhenReady },
    GrpcService { name: thanos_exemplars::EXEMPLARS_SERVICE, serves: ServingCondition::WhenReady },
    GrpcService { name: thanos_exemplars::METADATA_SERVICE, serves: ServingCondition::WhenReady },
];
