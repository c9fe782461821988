"""Calls over TLS with Python's http.client and with stock gRPC, each on a connection of its own.

Arguments: the port, and the directory of the CA and of the clients' certificates. Each line of input is a call: `kind`
(https or grpc) and `certificate` (a name, or null for none). The program prints the status, or why there is none.
"""

import http.client
import pathlib
import ssl
import sys

import grpc
import wire
from health_status import health_status
from talk import tell, wait


def https(port, directory, certificate):
    """Returns the HTTP status, or OpenSSL's name of the error."""
    context = ssl.create_default_context(cafile=directory / "ca.crt")
    if certificate:
        context.load_cert_chain(directory / f"{certificate}.crt", directory / f"{certificate}.key")
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=wire.PATIENCE)
    try:
        connection.request("GET", "/-/healthy")
        return str(connection.getresponse().status)
    except ssl.SSLError as error:
        return error.reason
    finally:
        connection.close()


def call_grpc(port, directory, certificate):
    """Returns the name of the gRPC status of a health check."""

    def read(name):
        return (directory / name).read_bytes()

    pair = (read(f"{certificate}.key"), read(f"{certificate}.crt")) if certificate else (None, None)
    credentials = grpc.ssl_channel_credentials(read("ca.crt"), *pair)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(f"localhost:{port}", credentials, options) as channel:
        return health_status(channel)


def main(port, directory):
    calls = {"https": https, "grpc": call_grpc}
    tell("ready")
    while True:
        call = wait()
        if not call:
            return
        tell("called", result=calls[call["kind"]](port, directory, call["certificate"]))


main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
