//! gRPC reflection service, versions v1 and v1alpha: descriptors of services and messages.
//!
//! A client may keep its stream open. When the server drains, the service sees the end of the
//! stream.

use crate::remote::pb;
use crate::server::grpc::services::SERVICES;
use crate::server::management::lifecycle::{Lifecycle, Phase};
use crate::server::transport::framing::early_end_body::EarlyEndBody;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use tonic_reflection::server::{Builder, Error, v1alpha};

/// Services that are not in [`SERVICES`].
const OTHERS: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Routes of the two versions.
pub(crate) const PATH_V1: &str = "/grpc.reflection.v1.ServerReflection/{*method}";
pub(crate) const PATH_V1ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/{*method}";

/// Returns the service in version v1.
///
/// # Errors
/// [`Error`] if the descriptors of the build are invalid.
pub(crate) fn v1() -> Result<ServerReflectionServer<impl ServerReflection>, Error> {
    reflection_builder().build_v1()
}

/// Returns the service in version v1alpha, for older clients.
///
/// # Errors
/// Same as [`v1`].
pub(crate) fn v1alpha()
-> Result<v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>, Error> {
    reflection_builder().build_v1alpha()
}

/// Returns a builder with all descriptors and service names.
fn reflection_builder() -> Builder<'static> {
    let builder = Builder::configure()
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET);
    let names = SERVICES.iter().map(|service| service.name).chain(OTHERS);
    names.fold(builder, Builder::with_service_name)
}

/// Middleware that ends the request body when the server drains.
pub(crate) async fn end_when_draining(
    State(lifecycle): State<Arc<Lifecycle>>,
    request: Request,
    next: Next,
) -> Response {
    let draining = async move {
        lifecycle.reached(Phase::Draining).await;
        None
    };
    next.run(request.map(|body| Body::new(EarlyEndBody::new(body, draining)))).await
}
