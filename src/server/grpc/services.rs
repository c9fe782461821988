//! List of the gRPC services, used by health and reflection.

use crate::server::grpc::{read, thanos_exemplars, thanos_info, thanos_store, thanos_write, write};

/// A service and the condition under which it serves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GrpcService {
    /// Full name of the service.
    pub(crate) name: &'static str,
    /// Condition under which the service serves.
    pub(crate) serves: ServingCondition,
}

/// Condition under which a service serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServingCondition {
    /// The server is ready: after the replay, before draining.
    WhenReady,
    /// The server is ready and writable: neither is the disk full, nor has the WAL failed.
    WhenWritable,
}

/// All services except health and reflection.
pub(crate) const SERVICES: [GrpcService; 7] = [
    GrpcService { name: write::SERVICE, serves: ServingCondition::WhenWritable },
    GrpcService { name: read::SERVICE, serves: ServingCondition::WhenReady },
    GrpcService { name: thanos_write::SERVICE, serves: ServingCondition::WhenWritable },
    GrpcService { name: thanos_store::SERVICE, serves: ServingCondition::WhenReady },
    GrpcService { name: thanos_info::SERVICE, serves: ServingCondition::WhenReady },
    GrpcService { name: thanos_exemplars::EXEMPLARS_SERVICE, serves: ServingCondition::WhenReady },
    GrpcService { name: thanos_exemplars::METADATA_SERVICE, serves: ServingCondition::WhenReady },
];
