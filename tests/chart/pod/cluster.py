"""A cluster for Kubernetes discovery: the API server, a pod to scrape, and a list of targets.

The API server is the fake of tests/golden/discovery, here with TLS on the address of the cluster.
"""

import asyncio
import http.server
import ssl
import sys
import tempfile
import threading

import chart
from pod.kubelet import API_SERVER, POD_ADDRESS

sys.path.append(str(chart.ROOT / "tests/golden/discovery"))
import fakes  # noqa: E402

TOKEN = "token-of-the-service-account"
TARGET_PORT = 8080
# List of targets for discovery by HTTP. It is empty.
TARGET_LIST = f"http://{POD_ADDRESS}:{TARGET_PORT}/targets"
PODS = [
    {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"app": name},
            "annotations": {"prometheus.io/scrape": scraped},
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": name, "image": "app:1",
                            "ports": [{"containerPort": TARGET_PORT, "protocol": "TCP"}]}],
        },
        "status": {"phase": "Running", "podIP": POD_ADDRESS, "hostIP": "10.0.0.1"},
    }
    for name, scraped in (("cart", "true"), ("database", "false"))
]


class Target(http.server.BaseHTTPRequestHandler):
    """The pod, which also serves the list of targets."""

    METRICS = (
        "text/plain; version=0.0.4",
        b"# TYPE cart_orders_total counter\ncart_orders_total 7\n",
    )
    LIST = "application/json", b"[]"

    def do_GET(self):
        content_type, body = self.METRICS if self.path == "/metrics" else self.LIST
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Cluster:
    """Runs until the process ends, in the network of the thread that creates it."""

    def __init__(self, authority):
        self.account = {"token": TOKEN, "ca.crt": authority.certificate, "namespace": "monitoring"}
        self.world = fakes.World([{"kubernetes": {"pods": PODS}}])
        self.context = server_context(authority)
        self.listening = threading.Event()
        target = http.server.ThreadingHTTPServer((POD_ADDRESS, TARGET_PORT), Target)
        threading.Thread(target=target.serve_forever, daemon=True).start()
        threading.Thread(target=asyncio.run, args=[self.serve()], daemon=True).start()
        assert self.listening.wait(10), "the API server does not listen"

    async def serve(self):
        handle = fakes.Http(self.world, "kubernetes").handle
        server = await asyncio.start_server(handle, API_SERVER, 443, ssl=self.context)
        self.listening.set()
        await server.serve_forever()

    def credentials(self):
        """Returns the different credentials of all requests."""
        return {item["headers"].get("Authorization") for item in self.world.requests}


def server_context(authority):
    """Returns the TLS settings of the API server."""
    files = authority.issue(f"IP:{API_SERVER}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(files["tls.crt"] + files["tls.key"])
        file.flush()
        context.load_cert_chain(file.name)
    return context
