//! The services that are offered: the one list that health and reflection go by.

use crate::server::grpc::{read, thanos_exemplars, thanos_info, thanos_store, thanos_write, write};

/// A service and what it needs to be of use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service {
    /// Its full name.
    pub(crate) name: &'static str,
    /// When it serves.
    pub(crate) serves: Serves,
}

/// When a service serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// From the end of the replay until the server drains.
    WhenReady,
    /// The same, but only while writes are taken: not while the disk is full or the log broken.
    WhenWritable,
}

/// All of them, besides health and reflection.
pub(crate) const SERVICES: [Service; 7] = [
    Service { name: write::SERVICE, serves: Serves::WhenWritable },
    Service { name: read::SERVICE, serves: Serves::WhenReady },
    Service { name: thanos_write::SERVICE, serves: Serves::WhenWritable },
    Service { name: thanos_store::SERVICE, serves: Serves::WhenReady },
    Service { name: thanos_info::SERVICE, serves: Serves::WhenReady },
    Service { name: thanos_exemplars::EXEMPLARS_SERVICE, serves: Serves::WhenReady },
    Service { name: thanos_exemplars::METADATA_SERVICE, serves: Serves::WhenReady },
];
