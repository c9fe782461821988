"""HTTP/2 by hand, with prior knowledge, on the `h2` package: one request at a time, for what stock clients do not send.

Messages of gRPC are framed here: a flag, a length, the message.
"""

import socket

import h2.config
import h2.connection
import h2.events
import wire
from talk import equal


class Answer:
    """Headers and trailers by name, and the body."""

    def __init__(self):
        self.headers, self.trailers, self.body = {}, {}, b""

    @property
    def status(self):
        return int(self.headers[":status"])

    def grpc(self, name):
        """A header of gRPC's that may stand in the headers of an answer without a body."""
        return self.trailers.get(name, self.headers.get(name))


class Connection:
    """A connection of its own."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=wire.PATIENCE)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def send(self, method, path, headers, body=b""):
        """Sends a request and waits for the whole answer."""
        stream = self.h2.get_next_available_stream_id()
        head = {":method": method, ":scheme": "http", ":authority": "narthex", ":path": path, **headers}
        self.h2.send_headers(stream, list(head.items()), end_stream=not body)
        self.flush()
        answer, ended = Answer(), False
        while not ended:
            body = self.send_some(stream, body)
            ended = self.receive(stream, answer)
        return answer

    def send_some(self, stream, body):
        """As much of the body as the server has room for; the rest."""
        while body and (room := min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)):
            piece, body = body[:room], body[room:]
            self.h2.send_data(stream, piece, end_stream=not body)
        self.flush()
        return body

    def receive(self, stream, answer):
        """Takes what has come; whether the answer has ended."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise AssertionError("the server has hung up")
        ended = False
        for event in self.h2.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    answer.headers = dict(event.headers)
                case h2.events.TrailersReceived():
                    answer.trailers = dict(event.headers)
                case h2.events.DataReceived():
                    answer.body += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded() if event.stream_id == stream:
                    ended = True
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise AssertionError(f"the server broke off: {event}")
        self.flush()
        return ended

    def call(self, method, frames, **headers):
        """A call of gRPC with these frames."""
        head = {"content-type": "application/grpc", "te": "trailers"}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.send("POST", method, head, b"".join(frames))
        equal(answer.status, 200, f"the status of HTTP of {method}")
        return answer


def frame(message, compressed=False):
    """A message of gRPC."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


def unframe(body):
    """The messages of an answer: whether it is compressed, and its bytes."""
    found = []
    while body:
        if len(body) < 5:
            raise AssertionError("half a frame")
        size = int.from_bytes(body[1:5], "big")
        flag, message, body = body[0], body[5 : 5 + size], body[5 + size :]
        equal(len(message), size, "the bytes of a message")
        if flag not in (0, 1):
            raise AssertionError(f"a frame with the flag {flag}")
        found.append((bool(flag), message))
    return found
