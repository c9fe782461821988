"""Messages of remote write 1.0, encoded by hand."""

import functools
import struct

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
MAX_LITERAL_BYTES = 65536


@functools.lru_cache(maxsize=4096)
def _varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _field(number, content):
    """Encodes a length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


@functools.lru_cache(maxsize=4096)
def _label_fields(key):
    pairs = (_field(1, name.encode()) + _field(2, value.encode()) for name, value in key)
    return b"".join(_field(1, pair) for pair in pairs)


def _sample(t, value):
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(t & (1 << 64) - 1)


def encode_series(labels, samples):
    """Encodes a series of a write request: labels, a dict, and pairs of timestamp and value.

    The concatenation of encoded series is a request.
    """
    content = _label_fields(tuple(sorted(labels.items())))
    return _field(1, content + b"".join(_field(2, _sample(t, value)) for t, value in samples))


def compress(message):
    """Encodes a message as a snappy block of literals."""
    block = bytearray(_varint(len(message)))
    for start in range(0, len(message), MAX_LITERAL_BYTES):
        literal = message[start : start + MAX_LITERAL_BYTES]
        block += b"\xf4" + struct.pack("<H", len(literal) - 1) + literal
    return bytes(block)
