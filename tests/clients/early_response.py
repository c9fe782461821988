"""Responses to requests that are rejected before their body was read.

Each client sends a body that the server does not read completely, and must read the status and the whole response in every attempt. Clients: curl, a raw socket and `http.client`, which send everything before they read, and the packages `h2` and `grpcio`.

Arguments: the port, `limits`, `overload` or `credentials` for the kind of server, the number of attempts of each combination, and for TLS the file of the CA.
"""

import concurrent.futures
import http.client
import socket
import ssl
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

import grpc
import h2.config
import h2.connection
import h2.events
import wire
from talk import equal, tell

HOST = "127.0.0.1"
# The certificate is valid for all names below.
NAME = "narthex.test"
WRITE, READ = "/api/v1/write", "/api/v1/read"
PROTOBUF = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
# Limits of the server, bytes. The test sets those of writes.
WRITE_LIMIT, READ_LIMIT, FORM_LIMIT, MESSAGE_LIMIT = 64 << 10, 1 << 20, 10 << 20, 128 << 10
# Attempts that run at the same time.
WORKERS = 8


@dataclass
class Case:
    """Request that the server rejects with `status`."""

    name: str
    path: str
    status: int
    size: int
    chunked: bool = False
    method: str = "POST"
    headers: dict = field(default_factory=lambda: dict(PROTOBUF))
    # Text of the response.
    text: str = ""
    # Share of the attempts: some cases differ from others only in the handler.
    share: float = 1

    def __str__(self):
        return f"{self.name}, {self.size} bytes, {'chunked' if self.chunked else 'declared'}"


def both(**arguments):
    """The case with a declared length and chunked."""
    return [Case(**arguments), Case(**arguments, chunked=True)]


def over(name, path, limit, text, **arguments):
    """Bodies that exceed a limit by 1 byte and by 3 times the limit."""
    return [case for size in (limit + 1, 3 * limit) for case in both(name=name, path=path, status=413, size=size, text=text, **arguments)]


def cases_of_limits():
    size = 3 * WRITE_LIMIT
    text = {"Content-Type": "text/plain"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return [
        *over("write", WRITE, WRITE_LIMIT, "exceeds 65536 bytes (--storage.remote.write-max-body-size)"),
        *over("read", READ, READ_LIMIT, "exceeds 1048576 bytes"),
        Case("form", "/api/v1/labels", 413, FORM_LIMIT + 1, headers=form, text="exceeds 10485760 bytes", share=0.1),
        *both(name="content type", path=WRITE, status=415, size=size, headers={"Content-Type": "application/json"}),
        *both(name="parameter", path="/api/v1/series", status=400, size=size, headers=text),
        *both(name="unknown path", path="/nothing", status=404, size=size, headers=text, share=0.1),
        *both(name="method", path=WRITE, status=405, size=size, method="PUT", share=0.1),
    ]


def cases_of_overload():
    return both(name="overload", path=WRITE, status=503, size=3 * WRITE_LIMIT, text="too many bytes in flight")


def cases_of_credentials():
    size = 3 * WRITE_LIMIT
    return [
        *both(name="write", path=WRITE, status=401, size=size, text="Unauthorized"),
        *both(name="read", path=READ, status=401, size=3 * READ_LIMIT, text="Unauthorized"),
        *both(name="unknown path", path="/nothing", status=401, size=size, text="Unauthorized", share=0.1),
    ]


class Target:
    """Server, with or without TLS."""

    def __init__(self, port, ca):
        self.port, self.ca = port, ca

    def context(self, *protocols):
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(protocols)
        return context

    def connect(self, protocol):
        plain = socket.create_connection((HOST, self.port), timeout=wire.PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context(protocol).wrap_socket(plain, server_hostname=HOST) if self.ca else plain


def check(case, status, text):
    equal(status, case.status, f"{case}: {text!r}")
    equal(case.text in text, True, f"{case}: {text!r} has {case.text!r}")


def raw_socket(target, case, host=True):
    """Sends everything, then reads to the end of the connection."""
    head = f"{case.method} {case.path} HTTP/1.1\r\n" + ("Host: x\r\n" if host else "")
    head += "".join(f"{name}: {value}\r\n" for name, value in case.headers.items())
    body = bytes(case.size)
    if case.chunked:
        head += "Transfer-Encoding: chunked\r\n\r\n"
        body = f"{case.size:x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    else:
        head += f"Content-Length: {case.size}\r\n\r\n"
    with target.connect("http/1.1") as connection:
        connection.sendall(head.encode() + body)
        response = b""
        while piece := connection.recv(1 << 16):
            response += piece
    head, text = response.decode().split("\r\n\r\n", 1)
    status, *lines = head.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    equal(headers.get("connection"), "close", f"{case}: {head}")
    equal(len(text.encode()), int(headers["content-length"]), f"{case}: length of {text!r}")
    check(case, int(status.split(" ")[1]), text)


def without_host(target, case):
    raw_socket(target, case, host=False)


def http_client(target, case):
    """Python's own client."""
    if target.ca:
        connection = http.client.HTTPSConnection(HOST, target.port, timeout=wire.PATIENCE, context=target.context("http/1.1"))
    else:
        connection = http.client.HTTPConnection(HOST, target.port, timeout=wire.PATIENCE)
    body = bytes(case.size)
    if case.chunked:
        pieces = (body[at : at + 50_000] for at in range(0, case.size, 50_000))
        connection.request(case.method, case.path, pieces, {**case.headers, "Transfer-Encoding": "chunked"}, encode_chunked=True)
    else:
        connection.request(case.method, case.path, body, case.headers)
    response = connection.getresponse()
    check(case, response.status, response.read().decode())
    connection.close()


def http_2(target, case):
    """Sends within the windows, next to another stream of the connection, which must complete."""
    with target.connect("h2") as connection:
        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        protocol.initiate_connection()
        pseudo = {":scheme": "https" if target.ca else "http", ":authority": "x"}
        length = {} if case.chunked else {"content-length": str(case.size)}
        fields = {name.lower(): value for name, value in case.headers.items()}
        head = {":method": case.method, ":path": case.path, **pseudo, **length, **fields}
        protocol.send_headers(1, list(head.items()))
        other = {":method": "GET", ":path": "/-/healthy", **pseudo}
        unsent, responses, ended = case.size, {1: b"", 3: b""}, set()
        statuses = {}
        while ended != {1, 3}:
            while unsent and 1 not in ended and (room := min(protocol.local_flow_control_window(1), protocol.max_outbound_frame_size, unsent)):
                unsent -= room
                protocol.send_data(1, bytes(room), end_stream=not unsent)
            # The other stream starts while the body of the first one is on its way.
            if other:
                protocol.send_headers(3, list(other.items()), end_stream=True)
                other = None
            connection.sendall(protocol.data_to_send())
            received = connection.recv(1 << 16)
            equal(received != b"", True, f"{case}: the connection continues")
            for event in protocol.receive_data(received):
                match event:
                    case h2.events.ResponseReceived():
                        statuses[event.stream_id] = int(dict(event.headers)[":status"])
                    case h2.events.DataReceived():
                        responses[event.stream_id] += event.data
                    case h2.events.StreamEnded():
                        ended.add(event.stream_id)
                    case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                        raise AssertionError(f"{case}: {event}")
    check(case, statuses[1], responses[1].decode())
    equal(statuses[3], 401 if case.status == 401 else 200, f"{case}: the other stream")


def curl(target, case, attempts, *protocol):
    """All attempts in one process, each on a connection of its own: curl 7.88 cannot use a connection of HTTP/2 again after it stopped sending.

    A name of its own for each attempt separates the connections. curl sends a large body only after `100 Continue`.
    """
    scheme = "https" if target.ca else "http"
    with tempfile.NamedTemporaryFile() as body:
        body.write(bytes(case.size))
        body.flush()
        command = ["curl", "--silent", "--show-error", *protocol, "--request", case.method, "--data-binary", f"@{body.name}"]
        command += ["--connect-to", f"::{HOST}:{target.port}", "--max-time", str(wire.PATIENCE), "--noproxy", "*", "--write-out", "\\nstatus %{http_code} %{errormsg}\\n"]
        command += ["--cacert", target.ca] if target.ca else []
        fields = [f"{name}: {value}" for name, value in case.headers.items()]
        if case.chunked:
            fields.append("Content-Length:" if "--http1.1" not in protocol else "Transfer-Encoding: chunked")
        command += [argument for value in fields for argument in ("--header", value)]
        command.append(f"{scheme}://n[1-{attempts}].{NAME}:{target.port}{case.path}")
        run = subprocess.run(command, capture_output=True, text=True)
    statuses = [line for line in run.stdout.splitlines() if line.startswith("status ")]
    equal(statuses, [f"status {case.status} "] * attempts, f"{case}: {run.stderr}")
    equal(run.stdout.count(case.text) >= attempts, True, f"{case}: {run.stdout[:200]}")
    return len(statuses)


def rejected_over_grpc(target, attempts, status, text, health):
    """The final status without RetryInfo, for calls and for streams. `health` is the status of another call of the same channel. Returns the attempts of each combination."""
    address = f"{HOST}:{target.port}"
    options = [*wire.UNLIMITED, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    if target.ca:
        with open(target.ca, "rb") as file:
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()), options)
    else:
        channel = grpc.insecure_channel(address, options)
    unary = channel.unary_unary("/narthex.v1.Write/WriteV1")
    healthy = channel.unary_unary("/grpc.health.v1.Health/Check")
    stream = channel.stream_stream("/narthex.v1.Write/WriteStream")
    counts = []
    # A message of a stream has an envelope.
    for size in (MESSAGE_LIMIT + 1000, 3 * MESSAGE_LIMIT):
        counts += [0, 0]
        for _ in range(attempts):
            message = bytes(size)
            for index, call, request in ((-2, unary, message), (-1, stream, iter([message] * 3))):
                error = wire.refusal(call, request)
                equal((error.code(), text in error.details()), (status, True), f"{size} bytes: {error}")
                keys = [key for key, _ in error.trailing_metadata() or ()]
                equal("grpc-status-details-bin" in keys, False, f"{size} bytes: {keys}")
                counts[index] += 1
            if health == grpc.StatusCode.OK:
                equal(healthy(b"", timeout=wire.PATIENCE)[:1], b"\x08", "the health of the same channel")
            else:
                equal(wire.refusal(healthy, b"").code(), health, "the health of the same channel")
    channel.close()
    return counts


def main(port, kind, attempts, ca=None):
    target = Target(port, ca)
    cases = {"limits": cases_of_limits, "overload": cases_of_overload, "credentials": cases_of_credentials}[kind]()
    # Attempts of each combination in which the response was read.
    counts = []
    clients = [raw_socket, http_client, http_2]
    table = [(client, case) for case in cases for client in clients]
    if kind == "limits":
        table += [(without_host, case) for case in both(name="no Host", path=WRITE, status=400, size=3 * WRITE_LIMIT, text="Host header")]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        for client, case in table:
            counts.append(len(list(workers.map(lambda _: client(target, case), range(round(attempts * case.share))))))
        second = "--http2" if ca else "--http2-prior-knowledge"
        runs = [(case, protocol) for case in cases for protocol in ("--http1.1", second)]
        counts += workers.map(lambda run: curl(target, run[0], round(attempts * run[0].share), run[1]), runs)
    if kind == "limits":
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        counts += rejected_over_grpc(target, attempts, code, "--storage.remote.write-max-decoded-size", grpc.StatusCode.OK)
    if kind == "credentials":
        code = grpc.StatusCode.UNAUTHENTICATED
        counts += rejected_over_grpc(target, attempts, code, "missing or invalid credentials", code)
    tell("read", counts=counts)


main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
