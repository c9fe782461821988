"""Sends what must be refused with stock gRPC: the code, and the details that gRPC's own library finds.

The server takes at most 2 MB a message. Arguments: the port, and the version of remote write.
"""

import sys

import grpc
import made
import wire
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from made import BEGIN, Series
from talk import equal, tell


def details(error):
    """The details of a refusal, which must say the same as the refusal itself; none where it has none."""
    status = rpc_status.from_call(error)
    if status is None:
        return []
    equal((status.code, status.message), (error.code().value[0], error.details()), "the code and text in the details")
    return list(status.details)


def is_bad_request(error, stored, counts, named):
    """It must say how many things were refused for which reason, name their series, and say how many samples were stored."""
    what = f"{error.code()} {error.details()!r}"
    equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT, what)
    found = details(error)
    equal([detail.type_url for detail in found], [f"type.googleapis.com/google.rpc.{name}" for name in ("BadRequest", "ErrorInfo")], what)
    bad, info = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo()
    found[0].Unpack(bad)
    found[1].Unpack(info)
    violations = list(bad.field_violations)
    equal(sorted((one.field, one.description.split()[0], one.reason) for one in violations if one.reason), sorted(counts), what)
    texts = [one.description for one in violations if not one.reason]
    equal(len(texts), len(named), f"{what}: the series that are named")
    for name, text in zip(named, texts):
        if name not in text or text not in error.details():
            raise AssertionError(f"{what}: {name!r} is not in {text!r}, or that not in the text")
    equal(dict(info.metadata), {"samples_stored": str(stored), "histograms_stored": "0", "exemplars_stored": "0"}, what)


def series(name, *floats, **labels):
    return Series({"__name__": name, **labels}, floats=list(floats))


class Client:
    """Writes by one version."""

    def __init__(self, port, version):
        self.pool, self.channel = wire.compiled(), wire.connect(port)
        write = wire.Service(self.channel, self.pool, "narthex.v1.Write")
        self.call = {1: write.WriteV1, 2: write.WriteV2}[version]
        self.method = f"/narthex.v1.Write/WriteV{version}"
        name = {1: "prometheus.WriteRequest", 2: "io.prometheus.write.v2.Request"}[version]
        self.Request = wire.message(self.pool, name)
        self.make = {1: made.v1, 2: made.v2}[version]
        self.stored = []

    def write(self, *all_series):
        answer = wire.answer(self.call, self.make(self.Request, all_series))
        equal((answer.samples, answer.histograms, answer.exemplars), made.totals(all_series), "what is stored")

    def refusal(self, *all_series):
        return wire.refusal(self.call, self.make(self.Request, all_series))

    def raw(self, body):
        return wire.refusal(self.channel.unary_unary(self.method), body)


SAMPLES, HISTOGRAMS = "timeseries.samples", "timeseries.histograms"
DUPLICATE, TOO_OLD, FUTURE = "DUPLICATE_TIMESTAMP", "TOO_OLD", "TOO_FAR_IN_FUTURE"


def refusals_of_data(client):
    """Some bad, all bad, each reason by its name; the good part of a request stays."""
    client.write(series("kept", (BEGIN, 1.0), (BEGIN + 10, 2.0)))
    nameless = Series({"a": "nameless"}, floats=[(BEGIN, 1.0), (BEGIN + 1, 1.0)])
    partly = client.refusal(
        series("kept", (BEGIN, 9.0), (BEGIN - 4 * 3_600_000, 9.0), (BEGIN + 20, 3.0)),
        nameless,
        series("also_kept", (BEGIN, 0.5)),
    )
    counts = [(SAMPLES, "1", DUPLICATE), (SAMPLES, "1", TOO_OLD), (SAMPLES, "2", "INVALID_LABELS")]
    is_bad_request(partly, 2, counts, ["kept", "nameless"])
    is_bad_request(client.refusal(series("kept", (BEGIN, 9.0))), 0, [(SAMPLES, "1", DUPLICATE)], ["kept"])
    ahead = series("ahead", (9_999_999_999_999, 1.0))
    is_bad_request(client.refusal(ahead), 0, [(SAMPLES, "1", FUTURE)], ["ahead"])
    # Its buckets have more than the whole.
    wrong = made.Histogram(schema=0, count=1, sum=0.0, positive_spans=((0, 1),), positive=(5,))
    error = client.refusal(Series({"__name__": "wrong"}, histograms=[(BEGIN, wrong)]))
    is_bad_request(error, 0, [(HISTOGRAMS, "1", "INVALID_HISTOGRAM")], ["wrong"])
    return [series("kept", (BEGIN, 1.0), (BEGIN + 10, 2.0), (BEGIN + 20, 3.0)), series("also_kept", (BEGIN, 0.5))]


def refusals_of_messages(client, version):
    """Bytes that are no message, and one that is too large."""
    body = client.make(client.Request, [series("half", (BEGIN, 1.0))]).SerializeToString()
    for what in (body[:-1], b"\x00", b"\xff" * 30):
        error = client.raw(what)
        equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT, f"bytes that are no message: {what!r}")
    error = client.refusal(series("large", (BEGIN, 1.0), a="x" * (3 << 20)))
    equal(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, "a message over the limit")
    equal([detail for detail in details(error) if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR)], [], "its RetryInfo")
    if version == 2:
        refusals_of_symbols(client)


def refusals_of_symbols(client):
    """Labels that refer to no symbol, or are no pairs; symbols that do not begin with an empty one."""
    for what, symbols, refs in (
        ("a symbol that is not there", ["", "__name__", "a"], [1, 3]),
        ("a name without a value", ["", "__name__", "a"], [1, 2, 1]),
    ):
        request = client.Request(symbols=symbols)
        request.timeseries.add(labels_refs=refs).samples.add(timestamp=BEGIN, value=1.0)
        error = wire.refusal(client.call, request)
        equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT, what)


def unknown_methods(client):
    for method in ("/narthex.v1.Write/Nothing", "/narthex.v1.Nothing/WriteV1"):
        error = wire.refusal(client.channel.unary_unary(method), b"")
        equal(error.code(), grpc.StatusCode.UNIMPLEMENTED, method)


def main(port, version):
    client = Client(port, version)
    stored = refusals_of_data(client)
    refusals_of_messages(client, version)
    unknown_methods(client)
    tell("written", **made.shown(stored))


main(int(sys.argv[1]), int(sys.argv[2]))
