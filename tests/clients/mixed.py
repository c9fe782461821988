"""HTTP/1.1, HTTP/2 with prior knowledge and gRPC on one port, all at once: each writes its own series, each is answered alike.

Argument: the port.
"""

import concurrent.futures
import http.client
import subprocess
import sys
import threading

import cramjam
import http2
import made
import wire
from made import BEGIN, Series
from talk import equal, tell

# Requests of each.
COUNT = 80
HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
WAYS = ("http1", "http2", "grpc_by_hand", "grpc", "stream")


def numbered(way, number):
    """What a request writes: ten samples of three series."""
    return [
        Series({"__name__": "mixed", "way": way, "series": str(one)}, floats=[(BEGIN + (number * 10 + at) * 1000, at / 3 + one) for at in range(10)])
        for one in range(3)
    ]


class Mixed:
    """Everything that runs at once."""

    def __init__(self, port):
        self.port, self.pool = port, wire.compiled()
        self.Request = wire.message(self.pool, "prometheus.WriteRequest")
        self.Response = wire.message(self.pool, "narthex.v1.WriteResponse")
        self.all_begin = threading.Barrier(len(WAYS) + 1, timeout=wire.PATIENCE)

    def messages(self, way):
        made_up = [made.v1(self.Request, numbered(way, number)) for number in range(COUNT)]
        self.all_begin.wait()
        return made_up

    def packed(self, way):
        return [bytes(cramjam.snappy.compress_raw(message.SerializeToString())) for message in self.messages(way)]

    def http1(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=wire.PATIENCE)
        for body in self.packed("http1"):
            connection.request("POST", "/api/v1/write", body, HEADERS)
            answer = connection.getresponse()
            equal((answer.version, answer.status, answer.read()), (11, 204, b""), "an answer over HTTP/1.1")

    def http2(self):
        connection = http2.Connection(self.port)
        for body in self.packed("http2"):
            answer = connection.send("POST", "/api/v1/write", HEADERS, body)
            equal((answer.status, answer.body), (204, b""), "an answer over HTTP/2")
        # The same connection takes a call of gRPC.
        body = http2.frame(made.v1(self.Request, numbered("http2", 0)).SerializeToString())
        self.counted(connection.call("/narthex.v1.Write/WriteV1", [body]))

    def counted(self, answer):
        equal(answer.grpc("grpc-status"), "0", "a call by hand")
        ((packed, message),) = http2.unframe(answer.body)
        equal((packed, self.Response.FromString(message).samples), (False, 30), "samples of a call by hand")

    def grpc_by_hand(self):
        connection = http2.Connection(self.port)
        for message in self.messages("grpc_by_hand"):
            body = http2.frame(message.SerializeToString())
            self.counted(connection.call("/narthex.v1.Write/WriteV1", [body]))
            answer = connection.send("GET", "/-/ready", {})
            equal(answer.status, 200, "readiness on a connection of gRPC")

    def grpc(self):
        write = wire.Service(wire.connect(self.port), self.pool, "narthex.v1.Write")
        for message in self.messages("grpc"):
            equal(wire.answer(write.WriteV1, message).samples, 30, "samples of a call")

    def stream(self):
        write = wire.Service(wire.connect(self.port), self.pool, "narthex.v1.Write")
        Item = wire.message(self.pool, "narthex.v1.WriteStreamRequest")
        items = [Item(sequence=at, v1=message) for at, message in enumerate(self.messages("stream"))]
        acks = [(ack.sequence, ack.stored.samples) for ack in wire.answer(write.WriteStream, iter(items))]
        equal(acks, [(at, 30) for at in range(COUNT)], "acks of a stream")

    def curl(self):
        """Debian's curl asks in both versions of HTTP."""
        self.all_begin.wait()
        for version, answered in (("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")) * 5:
            for path in ("/-/ready", "/api/v1/export?match[]=mixed"):
                command = ["curl", "-sSg", version, "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]
                run = subprocess.run([*command, f"http://127.0.0.1:{self.port}{path}"], capture_output=True, timeout=wire.PATIENCE, check=True)
                equal(run.stdout.decode(), f"{answered} 200", f"curl {version} {path}")


def main(port):
    mixed = Mixed(port)
    with concurrent.futures.ThreadPoolExecutor(len(WAYS) + 1) as pool:
        running = [pool.submit(getattr(mixed, way)) for way in (*WAYS, "curl")]
        for one in concurrent.futures.as_completed(running):
            one.result()
    written = {}
    for way in WAYS:
        for number in range(COUNT):
            for series in numbered(way, number):
                written.setdefault(tuple(series.labels.items()), Series(series.labels)).floats.extend(series.floats)
    tell("written", **made.shown(written.values()))


main(int(sys.argv[1]))
