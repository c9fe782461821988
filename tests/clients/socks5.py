"""SOCKS5 server (RFC 1928, RFC 1929) on the loopback interface, which requires a user and a password.

It prints its port, and a line for each connection: user, address type and address of the request. It resolves every
name to 127.0.0.1. Arguments: user and password.
"""

import json
import socket
import socketserver
import sys
import threading

USER, PASSWORD = sys.argv[1:]
lock = threading.Lock()


def say(**fields):
    with lock:
        print(json.dumps(fields), flush=True)


class Handler(socketserver.StreamRequestHandler):
    def read(self, length):
        data = self.rfile.read(length)
        if len(data) != length:
            raise ConnectionError("the client ended early")
        return data

    def handle(self):
        version, count = self.read(2)
        methods = self.read(count)
        if version != 5 or 2 not in methods:
            self.wfile.write(b"\x05\xff")
            return
        self.wfile.write(b"\x05\x02")
        (_, length) = self.read(2)
        user = self.read(length).decode()
        password = self.read(self.read(1)[0]).decode()
        if (user, password) != (USER, PASSWORD):
            self.wfile.write(b"\x01\x01")
            say(step="refused", user=user)
            return
        self.wfile.write(b"\x01\x00")
        _, command, _, kind = self.read(4)
        if kind == 3:
            address = self.read(self.read(1)[0]).decode()
        else:
            family, length = {1: (socket.AF_INET, 4), 4: (socket.AF_INET6, 16)}[kind]
            address = socket.inet_ntop(family, self.read(length))
        port = int.from_bytes(self.read(2), "big")
        say(step="connect", user=user, command=command, kind=kind, address=address)
        try:
            server = socket.create_connection(("127.0.0.1" if kind == 3 else address, port))
        except OSError:
            self.wfile.write(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
            return
        self.wfile.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        back = threading.Thread(target=pump, args=(server, self.connection))
        back.start()
        pump(self.connection, server)
        back.join()


def pump(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Handler) as server:
    say(step="port", port=server.server_address[1])
    server.serve_forever()
