"""Network of the tests: the loopback interface of a new namespace, and a DNS server on it."""

import fcntl
import socket
import struct
import threading

SIOCSIFFLAGS = 0x8914
IFF_UP = 1
TYPE_A = 1
NO_ERROR, NAME_ERROR = 0, 3


def enable_loopback():
    """Enables the loopback interface, which is down in a new namespace."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


class DnsServer:
    """DNS server on port 53 with IPv4 addresses of names. All other names do not exist."""

    def __init__(self, address, names):
        self._names = names
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            request, client = self._socket.recvfrom(4096)
            self._socket.sendto(self._respond(request), client)

    def _respond(self, request):
        end, parts = 12, []
        while size := request[end]:
            parts.append(request[end + 1 : end + 1 + size].decode())
            end += 1 + size
        name = ".".join(parts)
        self.asked.append(name)
        (kind,) = struct.unpack_from(">H", request, end + 1)
        address = self._names.get(name)
        has_answer = address is not None and kind == TYPE_A
        status = NAME_ERROR if address is None else NO_ERROR
        header = struct.pack(">HHHHH", 0x8180 | status, 1, int(has_answer), 0, 0)
        response = request[:2] + header + request[12 : end + 5]
        if has_answer:
            # A pointer to the name of the question, class IN, valid for 60 s.
            response += struct.pack(">HHHIH", 0xC00C, TYPE_A, 1, 60, 4)
            response += socket.inet_aton(address)
        return response
