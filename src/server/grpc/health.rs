//! gRPC's health service: per service, serving or not.
//!
//! The whole (the empty name) and each service serve once the log is replayed and until the server drains; the services that
//! write also only while writes are taken. A client that watches hears of each change; when the server drains, its stream ends soon
//! after the last one, so that nobody who watches holds up the drain.

use crate::server::context::SharedContext;
use crate::server::grpc::write;
use crate::server::lifecycle::Phase;
use crate::tsdb::db::DbHealth;
use std::time::Duration;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

/// How soon a change is told.
const INTERVAL: Duration = Duration::from_millis(250);

/// Tells the health service how things are.
#[derive(Debug)]
pub struct HealthKeeper {
    reporter: HealthReporter,
}

/// The health service and who tells it; nothing serves yet.
pub async fn service() -> (HealthKeeper, HealthServer<impl Health>) {
    let (reporter, server) = tonic_health::server::health_reporter();
    let keeper = HealthKeeper { reporter };
    keeper.tell(false, false).await;
    (keeper, server)
}

impl HealthKeeper {
    /// Follows the server through its life, until it drains.
    pub async fn follow(self, context: SharedContext) {
        let mut told = (false, false);
        loop {
            let phase = context.lifecycle.phase();
            let reads = phase == Phase::Ready;
            let now = (reads, reads && context.db.health() == DbHealth::Good);
            if now != told {
                self.tell(now.0, now.1).await;
                told = now;
            }
            if phase == Phase::Draining {
                break;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        drop(context);
        self.end_watches().await;
    }

    /// Ends the streams of those who watch, for as long as the process lives: one may have begun while the others were ended.
    async fn end_watches(mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            // A stream ends when its service is forgotten; who asks once is still told.
            for service in ["", write::SERVICE] {
                self.reporter.clear_service_status(service).await;
            }
            self.tell(false, false).await;
        }
    }

    async fn tell(&self, whole: bool, writes: bool) {
        let status = |serving| if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status("", status(whole)).await;
        self.reporter.set_service_status(write::SERVICE, status(writes)).await;
    }
}
