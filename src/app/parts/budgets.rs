//! Memory and time for request bodies and responses.

use crate::config::flags::write::MAX_BODY_SIZE;
use crate::metrics::registry::Registry;
use crate::server::transport::admission::ByteBudget;
use crate::server::transport::body::{BodyLimits, ResponseLimits, SizeLimit};
use std::time::Duration;

/// Limits of bodies and responses.
#[derive(Debug, Clone)]
pub(crate) struct BudgetConfig {
    /// Maximum memory for all request bodies, bytes; the same for all responses.
    pub(crate) bytes: usize,
    /// Maximum size of a request body, bytes.
    pub(crate) body_bytes: usize,
    /// Maximum time to receive a body or to send a response.
    pub(crate) time: Duration,
}

/// Separate budgets, so that large or slow reads never block writes.
#[derive(Debug)]
pub(crate) struct Budgets {
    pub(crate) bodies: BodyLimits,
    pub(crate) responses: ResponseLimits,
}

impl Budgets {
    pub(crate) fn build(config: &BudgetConfig, registry: &mut Registry) -> Self {
        let (requests, responses) = (ByteBudget::new(config.bytes), ByteBudget::new(config.bytes));
        requests.register(registry, "narthex_request_bytes_in_flight", "request bodies");
        responses.register(
            registry,
            "narthex_response_bytes_in_flight",
            "responses to remote reads",
        );
        Self {
            bodies: BodyLimits {
                size: SizeLimit::set_by(MAX_BODY_SIZE, config.body_bytes),
                time: config.time,
                budget: requests,
            },
            responses: ResponseLimits { time: config.time, budget: responses },
        }
    }
}
