"""Calls with user names and passwords, by Python's http.client and stock gRPC, each on a connection of its own.

Arguments: the port, and the file of the CA, or `-` for plain connections. Each line of input is a call: `kind` (http or
grpc), `user` and `password`, which are null for a call without credentials. The program prints the status.
"""

import base64
import http.client
import pathlib
import ssl
import sys

import grpc
import wire
from health_status import health_status
from talk import tell, wait


def authorization(user, password):
    """Returns the value of the header, or None."""
    if user is None:
        return None
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def call_http(port, ca, value):
    """Returns the HTTP status."""
    if ca:
        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=wire.PATIENCE)
    else:
        connection = http.client.HTTPConnection("localhost", port, timeout=wire.PATIENCE)
    try:
        connection.request("GET", "/metrics", headers={"Authorization": value} if value else {})
        return str(connection.getresponse().status)
    finally:
        connection.close()


def call_grpc(port, ca, value):
    """Returns the name of the gRPC status of a health check."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    address = f"localhost:{port}"
    if ca:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes()), options)
    else:
        channel = grpc.insecure_channel(address, options)
    metadata = [("authorization", value)] if value else []
    with channel:
        return health_status(channel, metadata)


def main(port, ca):
    calls = {"http": call_http, "grpc": call_grpc}
    tell("ready")
    while True:
        call = wait()
        if not call:
            return
        value = authorization(call["user"], call["password"])
        tell("called", result=calls[call["kind"]](port, ca, value))


main(int(sys.argv[1]), None if sys.argv[2] == "-" else pathlib.Path(sys.argv[2]))
