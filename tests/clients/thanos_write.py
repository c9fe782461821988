"""Writes as routers of Thanos Receive do, old and new: the tenant becomes a label, and what is refused has the code that they know.

Messages are compressed by hand with snappy as routers do it. Argument: the port.
"""

import sys

import cramjam
import grpc
import http2
import made
import wire
from made import BEGIN, Series
from talk import equal, tell

METHOD = "/thanos.WriteableStore/RemoteWrite"


def of_tenant(series, tenant):
    """As it is stored."""
    return Series({**series.labels, "tenant_id": tenant}, series.floats, series.histograms, series.exemplars)


class Router:
    """Makes the requests of routers."""

    def __init__(self, port):
        self.port, self.pool = port, wire.compiled()
        self.Request = wire.message(self.pool, "thanos.WriteRequest")
        self.Tuple = wire.message(self.pool, "thanos.TimeSeriesTenantTuple")
        self.write = wire.Service(wire.connect(port), self.pool, "thanos.WriteableStore").RemoteWrite

    def old(self, series, tenant):
        request = made.v1(self.Request, series)
        request.tenant, request.replica = tenant, 1
        return request

    def new(self, by_tenant):
        request = self.Request(replica=3)
        for tenant, series in by_tenant.items():
            one = made.v1(self.Tuple, series)
            one.tenant = tenant
            request.timeseriesTenantData.append(one)
        return request

    def refused(self, request, code):
        error = wire.refusal(self.write, request)
        equal(error.code(), code, error.details())
        return error.details()


def plain(name, count=40):
    """What a request of Thanos has room for: no metadata."""
    every = made.every_kind(name, count)
    for series in every:
        series.metadata = None
    return every


def all_ways(router):
    """Both forms, one of them compressed; everything twice."""
    stored = []
    old, new, packed = plain("old"), plain("new"), plain("packed")
    for _ in range(2):
        wire.answer(router.write, router.old(old, "ä"))
        wire.answer(router.write, router.new({"one": new, "two": new}))
    stored += [of_tenant(series, "ä") for series in old]
    stored += [of_tenant(series, tenant) for tenant in ("one", "two") for series in new]
    connection = http2.Connection(router.port)
    body = bytes(cramjam.snappy.compress(router.new({"one": packed}).SerializeToString()))
    for accepted in ("snappy", "snappy,gzip", "identity"):
        answer = connection.call(METHOD, [http2.frame(body, True)], grpc_encoding="snappy", grpc_accept_encoding=accepted)
        equal(answer.grpc("grpc-status"), "0", f"snappy, answered by {accepted}: {answer.grpc('grpc-message')}")
    # 5 MiB, which is more than a gRPC server takes by default.
    large = Series({"__name__": "large", "filler": "x"}, floats=[(BEGIN + at, at / 7) for at in range(300_000)])
    wire.answer(router.write, router.new({"one": [large]}))
    stored.append(of_tenant(large, "one"))
    return stored + [of_tenant(series, "one") for series in packed]


def refusals(router):
    """Every refusal of data is ALREADY_EXISTS, which a router takes as final; what is good is stored."""
    first = Series({"__name__": "judged"}, floats=[(BEGIN, 1.0)])
    wire.answer(router.write, router.new({"one": [first]}))
    mixed = [
        Series({"__name__": "judged"}, floats=[(BEGIN, 2.0), (BEGIN + 1, 3.0)]),
        Series({"__name__": "ahead"}, floats=[(9_999_999_999_999, 1.0)]),
        Series({"a": "nameless"}, floats=[(BEGIN, 1.0)]),
    ]
    text = router.refused(router.new({"one": mixed}), grpc.StatusCode.ALREADY_EXISTS)
    for part in ("duplicate timestamp", "too far in the future", "invalid labels", "judged"):
        equal(part in text, True, f"{part!r} in {text!r}")
    router.refused(router.old([mixed[0]], "one"), grpc.StatusCode.ALREADY_EXISTS)
    return [of_tenant(Series({"__name__": "judged"}, floats=[(BEGIN, 1.0), (BEGIN + 1, 3.0)]), "one")]


def main(port):
    router = Router(port)
    tell("written", **made.shown(all_ways(router) + refusals(router)))


main(int(sys.argv[1]))
