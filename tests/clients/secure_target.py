"""Scrape target with TLS, client certificates and credentials, all of which can be replaced while it runs.

Its argument is a directory: ca.crt, server.crt and server.key are read for each handshake, and `password`, `token` and
`key` for each request. It listens on all loopback addresses, and prints its port. Connections are kept alive.

`/basic`, `/bearer` and `/header` need one of the credentials. `/redirect` needs the password, too, and redirects to
another host, which tells in its metric whether credentials arrived there. A metric is the generation of the certificate
of the connection: the content of the file `generation` at its handshake.
"""

import base64
import http.server
import pathlib
import socket
import ssl
import sys
import threading

from talk import tell

FILES = pathlib.Path(sys.argv[1])


def read(name):
    return (FILES / name).read_text(encoding="utf-8").strip()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def respond(self, status, body, headers=()):
        body = body.encode()
        self.send_response(status)
        for name, value in [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def is_allowed(self, path):
        given = self.headers.get("Authorization", "")
        if path == "/bearer":
            return given == f"Bearer {read('token')}"
        if path == "/header":
            return self.headers.get_all("X-Key") == ["always", read("key")]
        return given == "Basic " + base64.b64encode(f"user:{read('password')}".encode()).decode()

    def do_GET(self):
        port = self.server.server_address[1]
        if self.path == "/landed":
            names = [name.lower() for name in self.headers]
            secret = [name for name in names if name in ("authorization", "x-key", "cookie")]
            return self.respond(200, f"landed_credentials {len(secret)}\nlanded 1\n")
        if not self.is_allowed(self.path):
            return self.respond(401, "no\n")
        if self.path == "/redirect":
            return self.respond(302, "", [("Location", f"https://127.0.0.2:{port}/landed")])
        self.respond(200, f"generation {self.connection.generation}\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client may refuse the certificate, or have none."""

    def finish_request(self, request, client_address):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(FILES / "server.crt", FILES / "server.key")
        context.load_verify_locations(FILES / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        request.settimeout(60)
        with context.wrap_socket(request, server_side=True) as connection:
            connection.generation = read("generation")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super().finish_request(connection, client_address)


with Server(("0.0.0.0", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tell("port", port=server.server_address[1])
    threading.Event().wait()
