//! Requests of the Thanos read services.

use crate::server::contract::request_error::RequestError;
use crate::server::requests::MAX_READ_BODY;
use crate::server::requests::acceptance;
use crate::server::requests::read_permit::ReadPermit;
use crate::server::state::SharedState;
use crate::server::transport::body::BodyLimits;
use crate::server::transport::framing::messages;
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
    pub(crate) async fn admit(context: &SharedState, body: Body) -> Result<Self, Status> {
        let request = request(context, body).await?;
        let permit = ReadPermit::acquire(context).await?;
        Ok(Self { request, permit })
    }
}

/// Reads the only message of a body.
pub(crate) async fn request<T: Message + Default>(
    context: &SharedState,
    body: Body,
) -> Result<T, Status> {
    acceptance::check_accepting(context)?;
    let message = messages::read_single_message(
        body,
        BodyLimits { size: MAX_READ_BODY, ..context.body_limits.clone() },
    )
    .await?;
    let decoded = T::decode(message.bytes);
    decoded.map_err(|error| RequestError::BadData(format!("cannot decode request: {error}")).into())
}
