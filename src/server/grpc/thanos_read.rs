//! Requests of the Thanos read services.

use crate::server::contract::request_error::RequestError;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::requests::MAX_READ_BODY;
use crate::server::requests::acceptance;
use crate::server::requests::read_permit::ReadPermit;
use crate::server::requests::read_state::ReadState;
use crate::server::transport::body::BodyLimits;
use crate::server::transport::framing::messages;
use crate::tsdb::db::DbHandle;
use axum::body::Body;
use prost::Message;
use tonic::Status;

/// Request with a read permit.
pub(crate) struct AdmittedThanosRead<T> {
    pub(crate) request: T,
    pub(crate) permit: ReadPermit,
}

impl<T: Message + Default> AdmittedThanosRead<T> {
    /// Reads the only message of a body and waits for a permit.
    pub(crate) async fn admit(reads: &ReadState, body: Body) -> Result<Self, Status> {
        let request = request(&reads.lifecycle, &reads.db, &reads.bodies, body).await?;
        let permit = ReadPermit::acquire(reads).await?;
        Ok(Self { request, permit })
    }
}

/// Reads the only message of a body.
pub(crate) async fn request<T: Message + Default>(
    lifecycle: &Lifecycle,
    db: &DbHandle,
    bodies: &BodyLimits,
    body: Body,
) -> Result<T, Status> {
    acceptance::check_accepting(lifecycle, db)?;
    let message =
        messages::read_single_message(body, BodyLimits { size: MAX_READ_BODY, ..bodies.clone() })
            .await?;
    let decoded = T::decode(message.bytes);
    decoded.map_err(|error| RequestError::BadData(format!("cannot decode request: {error}")).into())
}
