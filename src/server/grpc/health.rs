//! gRPC health service, with a status per service.
//!
//! The server as a whole (empty name) and each service of `SERVICES` serve from the end of the
//! replay until draining; services that write serve only while narthex is writable. Watchers get
//! every change. Their streams end soon after draining starts, so that they do not delay the
//! shutdown.

use crate::server::grpc::services::{SERVICES, ServingCondition};
use crate::server::management::lifecycle::Phase;
use crate::server::management::process_state::ProcessState;
use std::sync::Arc;
use std::time::Duration;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

/// Interval at which the state is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Name of the status of the whole server.
const ALL_SERVICES: &str = "";

/// Task that updates the health service.
#[derive(Debug)]
pub struct HealthUpdater {
    reporter: HealthReporter,
}

/// State of the server for health purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServingState {
    /// No service serves.
    Down,
    /// Services that only read serve.
    ReadOnly,
    /// All services serve.
    Up,
}

/// Returns the health service and its updater. No service serves yet.
pub async fn service() -> (HealthUpdater, HealthServer<impl Health>) {
    let (reporter, server) = tonic_health::server::health_reporter();
    let updater = HealthUpdater { reporter };
    updater.set_status(ServingState::Down).await;
    (updater, server)
}

impl HealthUpdater {
    /// Updates the statuses until the server drains, then ends the watches.
    pub async fn run(self, process: Arc<ProcessState>) {
        let mut reported = ServingState::Down;
        loop {
            let phase = process.lifecycle.phase();
            let now = match (phase, process.db.health()) {
                (Phase::Starting | Phase::Draining, _) => ServingState::Down,
                (Phase::Ready, Ok(())) => ServingState::Up,
                (Phase::Ready, Err(_)) => ServingState::ReadOnly,
            };
            if now != reported {
                self.set_status(now).await;
                reported = now;
            }
            if phase == Phase::Draining {
                break;
            }
            let next = if phase == Phase::Starting { Phase::Ready } else { Phase::Draining };
            // Disk and WAL are polled; a change of the phase wakes the task at once.
            let _ = tokio::time::timeout(POLL_INTERVAL, process.lifecycle.reached(next)).await;
        }
        drop(process);
        self.end_watches().await;
    }

    /// Ends the streams of watchers for the rest of the process: new ones may start at any time.
    async fn end_watches(mut self) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            // Removing a service ends its streams. Set it again, so that single checks get a
            // status.
            for service in std::iter::once(ALL_SERVICES).chain(SERVICES.map(|service| service.name))
            {
                self.reporter.clear_service_status(service).await;
            }
            self.set_status(ServingState::Down).await;
        }
    }

    async fn set_status(&self, state: ServingState) {
        let status =
            |serves: bool| if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(ALL_SERVICES, status(state != ServingState::Down)).await;
        for service in SERVICES {
            let serves = match service.serves {
                ServingCondition::WhenReady => state != ServingState::Down,
                ServingCondition::WhenWritable => state == ServingState::Up,
            };
            self.reporter.set_service_status(service.name, status(serves)).await;
        }
    }
}
