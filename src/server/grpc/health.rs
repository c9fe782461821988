//! gRPC's health service: per service, serving or not.
//!
//! The whole (the empty name) and each service of `SERVICES` serve once the log is replayed and until the server drains; those that
//! write also only while writes are taken. A client that watches hears of each change; when the server drains, its stream ends soon
//! after the last one, so that nobody who watches holds up the drain.

use crate::server::grpc::services::{SERVICES, ServingCondition};
use crate::server::lifecycle::Phase;
use crate::server::state::SharedState;
use crate::tsdb::db::DbHealth;
use std::time::Duration;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

/// How soon a change is told.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The name of the whole.
const ALL_SERVICES: &str = "";

/// Tells the health service how things are.
#[derive(Debug)]
pub struct HealthUpdater {
    reporter: HealthReporter,
}

/// How things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServingState {
    /// Nothing serves.
    Down,
    /// What only reads serves.
    ReadOnly,
    /// All serve.
    Up,
}

/// The health service and who tells it; nothing serves yet.
pub async fn service() -> (HealthUpdater, HealthServer<impl Health>) {
    let (reporter, server) = tonic_health::server::health_reporter();
    let keeper = HealthUpdater { reporter };
    keeper.set_status(ServingState::Down).await;
    (keeper, server)
}

impl HealthUpdater {
    /// Follows the server through its life, until it drains.
    pub async fn run(self, context: SharedState) {
        let mut told = ServingState::Down;
        loop {
            let phase = context.lifecycle.phase();
            let now = match (phase, context.db.health()) {
                (Phase::Starting | Phase::Draining, _) => ServingState::Down,
                (Phase::Ready, DbHealth::Healthy) => ServingState::Up,
                (Phase::Ready, _) => ServingState::ReadOnly,
            };
            if now != told {
                self.set_status(now).await;
                told = now;
            }
            if phase == Phase::Draining {
                break;
            }
            let next = if phase == Phase::Starting { Phase::Ready } else { Phase::Draining };
            // The state of the disk and the log is looked at; of a phase one hears at once.
            let _ = tokio::time::timeout(POLL_INTERVAL, context.lifecycle.reached(next)).await;
        }
        drop(context);
        self.end_watches().await;
    }

    /// Ends the streams of those who watch, for as long as the process lives: one may have begun while the others were ended.
    async fn end_watches(mut self) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            // A stream ends when its service is forgotten; who asks once is still told.
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
