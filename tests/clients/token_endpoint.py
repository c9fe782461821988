"""OAuth2 server with short-lived tokens, and a page that needs one.

`POST /token` issues a token for the client in the file given as the first argument (`id:secret`, read per request).
`GET /page` responds 200 only with a token that has been issued and has not expired. The second argument is the lifetime
that the server states, in seconds; it accepts a token for 10 s less, since clients must not use it any longer.
With a certificate and its key as further arguments, it speaks TLS. It prints its port, and each token.
"""

import base64
import http.server
import json
import secrets
import ssl
import sys
import time
import urllib.parse

CLIENT_FILE, LIFETIME = sys.argv[1], int(sys.argv[2])
tokens = {}


def say(**fields):
    print(json.dumps(fields), flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        fields = urllib.parse.parse_qs(self.rfile.read(length).decode(), strict_parsing=True)
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        given = [urllib.parse.unquote_plus(part) for part in base64.b64decode(encoded).decode().split(":")]
        with open(CLIENT_FILE, encoding="utf-8") as file:
            known = file.read().strip().split(":")
        if scheme != "Basic" or given != known or fields["grant_type"] != ["client_credentials"]:
            return self.answer(401, json.dumps({"error": "invalid_client", "error_description": str(given)}))
        token = secrets.token_urlsafe()
        tokens[token] = time.monotonic() + LIFETIME - 10
        say(step="token", token=token, scope=fields.get("scope"))
        self.answer(200, json.dumps({"access_token": token, "token_type": "bearer", "expires_in": LIFETIME}))

    def do_GET(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and tokens.get(token, 0) > time.monotonic():
            return self.answer(200, "a 1\n", "text/plain")
        self.answer(401, "no valid token", "text/plain")


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    if sys.argv[3:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[3:])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    say(step="port", port=server.server_address[1])
    server.serve_forever()
