"""Remote write over HTTP/1.1 in every packing and both versions: statuses, written headers, and what is refused by its type.

Arguments: the port, and the version of remote write.
"""

import http.client
import sys

import cramjam
import made
import wire
from made import BEGIN, Series
from talk import equal, tell

PACK = {
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    "x-snappy-framed": lambda data: bytes(cramjam.snappy.compress(data)),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
}
V1, V2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"
WRITTEN = [f"X-Prometheus-Remote-Write-{kind}-Written" for kind in ("Samples", "Histograms", "Exemplars")]


class Client:
    """Writes by one version over one connection."""

    def __init__(self, port, version):
        pool = wire.compiled()
        self.version = version
        self.name = {1: V1, 2: V2}[version]
        self.other = {1: V2, 2: V1}[version]
        self.Request, self.make = wire.message(pool, self.name), {1: made.v1, 2: made.v2}[version]
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=wire.PATIENCE)

    def body(self, *all_series):
        return self.make(self.Request, all_series).SerializeToString()

    def post(self, body, encoding, content_type=None):
        """The status, the written headers, and the text."""
        headers = {"X-Prometheus-Remote-Write-Version": "0.1.0" if self.version == 1 else "2.0.0"}
        headers["Content-Type"] = content_type or f"application/x-protobuf;proto={self.name}"
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        self.connection.request("POST", "/api/v1/write", body, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        return answer.status, [answer.getheader(name) for name in WRITTEN], text

    def counts(self, *stored):
        """The written headers that say so; version 1 has none."""
        return [None] * 3 if self.version == 1 else [str(count) for count in stored]


def every_packing(client):
    """All is stored, twice the same."""
    stored = []
    for encoding, pack in PACK.items():
        series = made.every_kind(f"http_{encoding.replace('-', '_')}", count=40)
        stored += series
        for time in ("first", "second"):
            answer = client.post(pack(client.body(*series)), encoding)
            equal(answer, (204, client.counts(*made.totals(series)), ""), f"{encoding}, the {time} time")
    return stored


def ways_to_name_the_type(client):
    """By RFC 9110: blanks, quotes and case; without a parameter it is version 1."""
    series = Series({"__name__": "typed"}, floats=[(BEGIN, 1.0)])
    body = PACK["snappy"](client.body(series))
    names = [
        f"application/x-protobuf; proto={client.name}",
        f'Application/X-Protobuf ; Proto="{client.name}"',
        f"application/x-protobuf;charset=utf-8;proto={client.name}",
    ]
    names += ["application/x-protobuf"] if client.version == 1 else []
    for name in names:
        equal(client.post(body, "snappy", name), (204, client.counts(1, 0, 0), ""), name)
    return series


def refused_by_type(client):
    """415, and nothing is stored: the type and the encoding are judged before the body."""
    series = Series({"__name__": "never"}, floats=[(BEGIN, 1.0)])
    plain = client.body(series)
    packed = PACK["snappy"](plain)
    named = f"application/x-protobuf;proto={client.name}"
    table = [
        ("gzip", bytes(cramjam.gzip.compress(plain)), "gzip", named),
        ("gzip that says snappy", bytes(cramjam.gzip.compress(plain)), "snappy", named),
        ("zstd that says x-snappy-framed", PACK["zstd"](plain), "x-snappy-framed", named),
        ("framed snappy that says zstd", PACK["x-snappy-framed"](plain), "zstd", named),
        ("a block that says x-snappy-framed", packed, "x-snappy-framed", named),
        ("brotli", packed, "br", named),
        ("deflate", packed, "deflate", named),
        ("an unknown message", packed, "snappy", "application/x-protobuf;proto=io.prometheus.write.v3.Request"),
        ("text", packed, "snappy", "text/plain"),
        ("JSON", packed, "snappy", "application/json"),
    ]
    for what, body, encoding, content_type in table:
        status, written, text = client.post(body, encoding, content_type)
        equal(status, 415, f"{what}: {text}")
        equal([count for count in written if count not in (None, "0")], [], f"{what}: written headers")


def refused_by_data(client):
    """400; the headers say what is stored of it, and the text why the rest is not."""
    first = [Series({"__name__": "partly"}, floats=[(BEGIN, 1.0)])]
    status = client.post(PACK["snappy"](client.body(*first)), "snappy")[0]
    equal(status, 204, "a good write")
    histogram = made.integer(5)
    mixed = [
        Series({"__name__": "partly"}, floats=[(BEGIN, 2.0), (BEGIN + 1, 3.0)]),
        Series({"__name__": "partly_histogram"}, histograms=[(BEGIN, histogram)]),
        Series({"a": "nameless"}, floats=[(BEGIN, 1.0)]),
    ]
    status, written, text = client.post(PACK["zstd"](client.body(*mixed)), "zstd")
    equal((status, written), (400, client.counts(1, 1, 0)), text)
    for part in ("duplicate timestamp", "invalid labels", "partly", "nameless"):
        equal(part in text, True, f"{part!r} in {text!r}")
    status, written, text = client.post(PACK["snappy"](client.body(mixed[2])), "snappy")
    equal((status, written), (400, client.counts(0, 0, 0)), text)
    for what, body in (("half a message", client.body(*mixed)[:-1]), ("no message", b"\x00")):
        status, written, text = client.post(PACK["snappy"](body), "snappy")
        equal((status, written), (400, client.counts(0, 0, 0)), f"{what}: {text}")
    return [Series({"__name__": "partly"}, floats=[(BEGIN, 1.0), (BEGIN + 1, 3.0)]), mixed[1]]


def main(port, version):
    client = Client(port, version)
    stored = every_packing(client)
    stored.append(ways_to_name_the_type(client))
    refused_by_type(client)
    stored += refused_by_data(client)
    tell("written", **made.shown(stored))


main(int(sys.argv[1]), int(sys.argv[2]))
