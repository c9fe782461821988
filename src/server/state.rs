//! States of the handlers of each wing, in one value for the router.

use crate::server::api::admin::AdminState;
use crate::server::api::export::ExportState;
use crate::server::api::status::StatusState;
use crate::server::api::targets::TargetsState;
use crate::server::grpc::layers::GrpcState;
use crate::server::grpc::write_stream::StreamState;
use crate::server::management::process_state::ProcessState;
use crate::server::management::web_state::WebState;
use crate::server::requests::list_state::ListState;
use crate::server::requests::read_state::ReadState;
use crate::server::requests::time_limits::TimeLimits;
use crate::server::requests::write_requests::WriteState;
use crate::server::transport::access::control::AccessControl;
use axum::extract::FromRef;
use std::ops::Deref;
use std::sync::Arc;

/// States of all handlers. A handler extracts the state of its own requests.
#[derive(Debug)]
pub struct ServerStates {
    /// Rate limit and credentials of every request.
    pub access: Arc<AccessControl>,
    /// Health, metrics, reload and shutdown.
    pub process: Arc<ProcessState>,
    /// Writes.
    pub writes: Arc<WriteState>,
    /// Write streams.
    pub streams: Arc<StreamState>,
    /// Remote reads.
    pub reads: Arc<ReadState>,
    /// Look-ups of labels, series, metadata and exemplars.
    pub lists: Arc<ListState>,
    /// Exports.
    pub exports: Arc<ExportState>,
    /// Admin operations.
    pub admin: Arc<AdminState>,
    /// Status API.
    pub status: Arc<StatusState>,
    /// Targets of scrapes.
    pub targets: Arc<TargetsState>,
    /// Appearance to web clients.
    pub web: Arc<WebState>,
    /// Compression of gRPC messages.
    pub grpc: Arc<GrpcState>,
    /// Time limits of all routes.
    pub time_limits: TimeLimits,
}

/// States as the router holds them. Clones share them.
#[derive(Clone, Debug)]
pub struct SharedState(Arc<ServerStates>);

impl SharedState {
    /// Shares the states.
    #[must_use]
    pub fn new(states: ServerStates) -> Self {
        Self(Arc::new(states))
    }
}

impl Deref for SharedState {
    type Target = ServerStates;

    fn deref(&self) -> &ServerStates {
        &self.0
    }
}

/// Lets handlers extract the state in a field.
macro_rules! extract {
    ($($field:ident: $state:ty,)+) => {
        $(impl FromRef<SharedState> for Arc<$state> {
            fn from_ref(shared: &SharedState) -> Self {
                Self::clone(&shared.$field)
            }
        })+
    };
}

extract! {
    process: ProcessState,
    writes: WriteState,
    streams: StreamState,
    reads: ReadState,
    lists: ListState,
    exports: ExportState,
    admin: AdminState,
    status: StatusState,
    targets: TargetsState,
    web: WebState,
}
