"""Health check over stock gRPC."""

import grpc
import wire
from grpc_health.v1 import health_pb2, health_pb2_grpc


def health_status(channel, metadata=()):
    """Returns the name of the gRPC status of a check."""
    try:
        wire.answer(health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest(), metadata=metadata)
        return "OK"
    except grpc.RpcError as error:
        return error.code().name
