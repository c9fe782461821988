"""Calls with compressed messages: by stock gRPC, which knows gzip and deflate, and by hand with zstd and snappy, which in gRPC means framed.

Arguments: the port, and the version of remote write.
"""

import sys

import cramjam
import grpc
import http2
import made
import wire
from made import BEGIN, Series
from talk import equal, tell

PACK = {
    "identity": bytes,
    "gzip": lambda data: bytes(cramjam.gzip.compress(data)),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
    "snappy": lambda data: bytes(cramjam.snappy.compress(data)),
}
UNPACK = {
    "identity": bytes,
    "gzip": lambda data: bytes(cramjam.gzip.decompress(data)),
    "zstd": lambda data: bytes(cramjam.zstd.decompress(data)),
    "snappy": lambda data: bytes(cramjam.snappy.decompress(data)),
}
OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = "0", "3", "8", "12", "13"


def some(name):
    """Enough to be worth packing."""
    return made.every_kind(name, count=50)


class Client:
    """Writes by one version."""

    def __init__(self, port, version):
        self.port, self.pool = port, wire.compiled()
        self.version = version
        self.method = f"/narthex.v1.Write/WriteV{version}"
        name = {1: "prometheus.WriteRequest", 2: "io.prometheus.write.v2.Request"}[version]
        self.Request = wire.message(self.pool, name)
        self.make = {1: made.v1, 2: made.v2}[version]
        self.Response = wire.message(self.pool, "narthex.v1.WriteResponse")

    def message(self, all_series):
        return self.make(self.Request, all_series)

    def answered(self, answer, series, what):
        """All is stored; a message of the answer is packed only where it says so."""
        equal((answer.grpc("grpc-status"), answer.grpc("grpc-message")), (OK, None), what)
        ((packed, message),) = http2.unframe(answer.body)
        encoding = answer.headers.get("grpc-encoding", "identity")
        equal(packed and encoding == "identity", False, f"{what}: packed without an encoding")
        response = self.Response.FromString(UNPACK[encoding](message) if packed else message)
        equal((response.samples, response.histograms, response.exemplars), made.totals(series), what)
        return encoding


def by_stock_grpc(client):
    """gzip is unpacked; deflate is refused, and the refusal says what is taken."""
    series = some("stock_gzip")
    channel = wire.connect(client.port, compression=grpc.Compression.Gzip)
    write = wire.Service(channel, client.pool, "narthex.v1.Write")
    answer = wire.answer(getattr(write, f"WriteV{client.version}"), client.message(series))
    equal((answer.samples, answer.histograms, answer.exemplars), made.totals(series), "what is stored by gzip")
    channel = wire.connect(client.port, compression=grpc.Compression.Deflate)
    write = wire.Service(channel, client.pool, "narthex.v1.Write")
    error = wire.refusal(getattr(write, f"WriteV{client.version}"), client.message(some("deflate")))
    equal(error.code(), grpc.StatusCode.UNIMPLEMENTED, "deflate")
    return series


def by_hand(client):
    """Every encoding, its answer in every encoding; one that is named and not used."""
    connection, stored = http2.Connection(client.port), []
    for encoding, pack in PACK.items():
        series = some(f"hand_{encoding}")
        stored += series
        body = http2.frame(pack(client.message(series).SerializeToString()), encoding != "identity")
        for accepted in ("identity", "gzip", "zstd", "snappy", "br", "br, zstd;q=0.5, gzip"):
            what = f"{encoding}, answered by {accepted}"
            answer = connection.call(client.method, [body], grpc_encoding=encoding, grpc_accept_encoding=accepted)
            answered = client.answered(answer, series, what)
            if answered != "identity" and answered not in accepted:
                raise AssertionError(f"{what}: answered by {answered}")
    plain = some("plain")
    body = http2.frame(client.message(plain).SerializeToString())
    client.answered(connection.call(client.method, [body], grpc_encoding="zstd"), plain, "an encoding that the message does not use")
    return stored + plain


def wrong_by_hand(client):
    """Unknown encodings, packed bytes that are none, and messages that unpack to more than is taken."""
    connection = http2.Connection(client.port)
    message = client.message([Series({"__name__": "never"}, floats=[(BEGIN, 1.0)])]).SerializeToString()
    table = [
        ("deflate", http2.frame(message, True), UNIMPLEMENTED),
        ("x-snappy-framed", http2.frame(message, True), UNIMPLEMENTED),
        # What does not begin as its encoding does is another one; the block format is not what gRPC means by snappy.
        ("snappy", http2.frame(bytes(cramjam.snappy.compress_raw(message)), True), UNIMPLEMENTED),
        ("gzip", http2.frame(message, True), UNIMPLEMENTED),
        ("zstd", http2.frame(message, True), UNIMPLEMENTED),
        ("zstd", http2.frame(PACK["zstd"](message)[:-3], True), INVALID_ARGUMENT),
        ("gzip", http2.frame(PACK["gzip"](message)[:-9], True), INVALID_ARGUMENT),
        ("snappy", http2.frame(PACK["snappy"](message)[:-3], True), INVALID_ARGUMENT),
        # gRPC's own rules: a message that says it is compressed, in a call that names no encoding.
        ("identity", http2.frame(message, True), INTERNAL),
    ]
    bomb = bytes(65 << 20)
    table += [(name, http2.frame(PACK[name](bomb), True), RESOURCE_EXHAUSTED) for name in ("gzip", "zstd", "snappy")]
    for encoding, body, expected in table:
        answer = connection.call(client.method, [body], grpc_encoding=encoding)
        status, what = answer.grpc("grpc-status"), f"{encoding} with {body[:20]!r}"
        equal(status, expected, f"{what}: {answer.grpc('grpc-message')}")
        if encoding not in PACK:
            offered = {name.strip() for name in (answer.grpc("grpc-accept-encoding") or "").split(",")}
            equal(offered >= {"gzip", "zstd", "snappy"}, True, f"{what}: the encodings that are offered: {offered}")


def main(port, version):
    client = Client(port, version)
    stored = by_stock_grpc(client) + by_hand(client)
    wrong_by_hand(client)
    tell("written", **made.shown(stored))


main(int(sys.argv[1]), int(sys.argv[2]))
