//! `narthex.v1.Read`: remote read over gRPC.

/// The service's name, for health and reflection.
pub(crate) const SERVICE: &str = "narthex.v1.Read";
