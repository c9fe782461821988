"""Asks a server that has no space left: every write is to be repeated later, reads go on, and health says which is which.

Argument: the port.
"""

import sys

import grpc
import wire
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from talk import equal

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def to_be_repeated(error, what):
    """UNAVAILABLE, with a time of 1 to 5 whole seconds after which to come back."""
    equal(error.code(), grpc.StatusCode.UNAVAILABLE, what)
    found = rpc_status.from_call(error).details
    equal(len(found), 1, f"{what}: how many details there are")
    info = error_details_pb2.RetryInfo()
    if not found[0].Unpack(info):
        raise AssertionError(f"{what}: no RetryInfo: {found[0]}")
    if info.retry_delay.seconds not in range(1, 6) or info.retry_delay.nanos:
        raise AssertionError(f"{what}: come back after {info.retry_delay}")


def main(port):
    pool, channel = wire.compiled(), wire.connect(port)
    write = wire.Service(channel, pool, "narthex.v1.Write")
    for name, call in (("prometheus.WriteRequest", write.WriteV1), ("io.prometheus.write.v2.Request", write.WriteV2)):
        to_be_repeated(wire.refusal(call, wire.message(pool, name)()), name)
    Item = wire.message(pool, "narthex.v1.WriteStreamRequest")
    to_be_repeated(wire.refusal(write.WriteStream, iter([Item(sequence=1, v1={})])), "WriteStream")
    router = wire.Service(channel, pool, "thanos.WriteableStore")
    error = wire.refusal(router.RemoteWrite, wire.message(pool, "thanos.WriteRequest")())
    equal(error.code(), grpc.StatusCode.UNAVAILABLE, "thanos.WriteableStore")
    read = wire.Service(channel, pool, "narthex.v1.Read")
    equal(len(wire.answer(read.Read, wire.message(pool, "prometheus.ReadRequest")()).results), 0, "results of no query")
    health = health_pb2_grpc.HealthStub(channel)
    reads, writes = ("", "narthex.v1.Read", "thanos.Store"), ("narthex.v1.Write", "thanos.WriteableStore")
    for service, expected in [(name, SERVING) for name in reads] + [(name, NOT_SERVING) for name in writes]:
        request = health_pb2.HealthCheckRequest(service=service)
        status = wire.settled(lambda: wire.answer(health.Check, request).status, expected)
        equal(status, expected, f"the health of {service!r}")


main(int(sys.argv[1]))
