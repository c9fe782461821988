//! Protocols of write requests, by their names in `status/rejections` and in the log.

/// Protocol of a write request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteProtocol {
    /// Remote write over HTTP, of an unknown version.
    RemoteWrite,
    /// Remote write 1.0 over HTTP.
    RemoteWriteV1,
    /// Remote write 2.0 over HTTP.
    RemoteWriteV2,
    /// Remote write 1.0 over gRPC.
    GrpcV1,
    /// Remote write 2.0 over gRPC.
    GrpcV2,
    /// Write stream over gRPC.
    GrpcStream,
    /// Thanos Receive router.
    Thanos,
}

impl WriteProtocol {
    /// Returns the name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RemoteWrite => "remote_write",
            Self::RemoteWriteV1 => "remote_write_1.0",
            Self::RemoteWriteV2 => "remote_write_2.0",
            Self::GrpcV1 => "grpc_1.0",
            Self::GrpcV2 => "grpc_2.0",
            Self::GrpcStream => "grpc_stream",
            Self::Thanos => "thanos",
        }
    }
}
