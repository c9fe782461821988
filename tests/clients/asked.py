"""Stands in for a remote read server, so as to see what a client asks for: which types of answer it takes.

It answers with nothing, as samples. Says its port, then what it was asked.
"""

import http.server
import threading

import cramjam
import wire
from talk import tell, wait


def main():
    pool = wire.compiled()
    Request, Response = wire.message(pool, "prometheus.ReadRequest"), wire.message(pool, "prometheus.ReadResponse")
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        """Keeps the types of every request."""

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request.FromString(bytes(cramjam.snappy.decompress_raw(body)))
            seen.append(list(request.accepted_response_types))
            answer = Response()
            for _ in request.queries:
                answer.results.add()
            packed = bytes(cramjam.snappy.compress_raw(answer.SerializeToString()))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Encoding", "snappy")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        def log_message(self, *_):
            """Standard error is for what goes wrong."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tell("listening", port=server.server_port)
    wait()
    tell("asked", types=seen)


main()
