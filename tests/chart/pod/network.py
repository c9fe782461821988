"""Network of a pod: a loopback interface of its own, with the addresses of the pod."""

import ctypes
import fcntl
import socket
import struct

CLONE_NEWNET = 0x40000000
SIOCSIFADDR = 0x8916
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def enter_new(addresses):
    """Moves this thread, and all threads and processes that it starts, to a new network.

    Its loopback interface has these IPv4 addresses in addition.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot create a network: the pod tests need root")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
        for number, address in enumerate(addresses):
            sockaddr = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            name = f"lo:{number}".encode()
            fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16s16s", name, sockaddr))


def has_ipv6():
    """Returns `True` if the network of this thread has IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
