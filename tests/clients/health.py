"""Asks for the health of services with stock gRPC, and watches them while the server is stopped.

Arguments: the port, and the services that there are.
"""

import sys

import grpc
import wire
from grpc_health.v1 import health_pb2, health_pb2_grpc
from talk import equal, tell

Status = health_pb2.HealthCheckResponse


def asked(service):
    return health_pb2.HealthCheckRequest(service=service)


def main(port, services):
    health = health_pb2_grpc.HealthStub(wire.connect(port))
    for service in ["", *services]:
        status = wire.settled(lambda: wire.answer(health.Check, asked(service)).status, Status.SERVING)
        equal(status, Status.SERVING, f"the health of {service!r}")
    error = wire.refusal(health.Check, asked("narthex.v1.Nothing"))
    equal(error.code(), grpc.StatusCode.NOT_FOUND, "the health of an unknown service")
    watches = {service: health.Watch(asked(service), timeout=wire.PATIENCE) for service in ["", *services]}
    for service, watch in watches.items():
        equal(next(watch).status, Status.SERVING, f"the first that a watch of {service!r} says")
    tell("watching")
    # The server is stopped now: it says so to those who watch, and then the streams end.
    for service, watch in watches.items():
        last = [message.status for message in watch_to_end(watch)]
        equal(last, [Status.NOT_SERVING], f"what a watch of {service!r} says at the end")


def watch_to_end(watch):
    """What a watch still says; how it ends is left to the server, but it ends."""
    try:
        yield from watch
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise


main(int(sys.argv[1]), sys.argv[2:])
