"""Decodes the chunks of Prometheus's files: floats by XOR, and histograms of both kinds.

Written from the description of the format, without narthex's own code in sight. What does not fit the format is an error.
"""

import made

XOR, HISTOGRAM, FLOAT_HISTOGRAM = 1, 2, 3
# By the two upper bits of a histogram chunk's flags.
RESETS = ["unknown", "no", "yes", "gauge"]
WORD = (1 << 64) - 1


class Bits:
    """Reads bits, the uppermost of a byte first."""

    def __init__(self, data):
        self.text = int.from_bytes(data, "big")
        self.left = 8 * len(data)

    def read(self, count):
        """So many bits as a number."""
        if count > self.left:
            raise AssertionError("a chunk ends early")
        self.left -= count
        return (self.text >> self.left) & ((1 << count) - 1)

    def ones(self, most):
        """How many ones stand before the next zero, of at most so many."""
        for count in range(most):
            if not self.read(1):
                return count
        return most

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.read(8)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def varint(self):
        value = self.uvarint()
        return (value >> 1) ^ -(value & 1)

    def signed(self, size):
        """A number in so many bits: the positive side has one more than the other."""
        value = self.read(size)
        if size == 64:
            return value - (1 << 64) if value >> 63 else value
        return value - (1 << size) if value > 1 << (size - 1) else value

    SIZES = (0, 3, 6, 9, 12, 18, 25, 56, 64)

    def varbit_int(self):
        size = self.SIZES[self.ones(8)]
        return self.signed(size) if size else 0

    def varbit_uint(self):
        return self.read(self.SIZES[self.ones(8)])

    def finish(self):
        """Only zeros up to the end of the byte may follow."""
        if self.left > 7 or self.read(self.left):
            raise AssertionError(f"{self.left} bits are left of a chunk")


class XorFloat:
    """A float that is told by what changes in its bits."""

    def __init__(self, bits):
        self.value = bits.read(64)
        self.window = None

    def next(self, bits):
        if not bits.read(1):
            return
        if bits.read(1):
            leading, size = bits.read(5), bits.read(6) or 64
            if leading + size > 64:
                raise AssertionError("a change wider than a float")
            self.window = (size, 64 - leading - size)
        if self.window is None:
            raise AssertionError("a window that was never set")
        size, trailing = self.window
        self.value ^= bits.read(size) << trailing


class Delta:
    """A whole number that is told by how its change changes."""

    def __init__(self, value):
        self.value = value
        self.delta = 0

    def next(self, change):
        self.delta += change
        self.value += self.delta


def decode(kind, data):
    """The samples of a chunk as pairs of a time and a value: the bits of a float, or a histogram as the export shows it."""
    if kind == XOR:
        return floats(data)
    if kind in (HISTOGRAM, FLOAT_HISTOGRAM):
        return histograms(data, kind == FLOAT_HISTOGRAM)
    raise AssertionError(f"no encoding has the number {kind}")


def floats(data):
    count, bits = int.from_bytes(data[:2], "big"), Bits(data[2:])
    if not count:
        raise AssertionError("a chunk without samples")
    t = Delta(bits.varint())
    value = XorFloat(bits)
    samples = [(t.value, value.value)]
    for number in range(1, count):
        if number == 1:
            t.next(bits.uvarint())
        else:
            size = (0, 14, 17, 20, 64)[bits.ones(4)]
            t.next(bits.signed(size) if size else 0)
        value.next(bits)
        samples.append((t.value, value.value))
    bits.finish()
    return samples


def spans(bits):
    pairs = []
    for _ in range(bits.varbit_uint()):
        length = bits.varbit_uint()
        pairs.append((bits.varbit_int(), length))
    return tuple(pairs)


def zero_threshold(bits):
    byte = bits.read(8)
    if byte == 255:
        return made.float_of(bits.read(64))
    return 2.0 ** (byte - 244) if byte else 0.0


def custom_bound(bits):
    value = bits.varbit_uint()
    return (value - 1) / 1000 if value else made.float_of(bits.read(64))


class FloatCounts:
    """Count, zero count and buckets of a float histogram."""

    def __init__(self, bits, buckets):
        self.count, self.zero_count = XorFloat(bits), XorFloat(bits)
        self.sum = XorFloat(bits)
        self.buckets = [XorFloat(bits) for _ in range(buckets)]

    def next(self, bits):
        self.count.next(bits)
        self.zero_count.next(bits)
        self.sum.next(bits)
        if self.sum.value != made.STALE:
            for bucket in self.buckets:
                bucket.next(bits)

    def absolute(self, begin, end):
        return tuple(made.float_of(bucket.value) for bucket in self.buckets[begin:end])

    def counts(self):
        return made.float_of(self.count.value), made.float_of(self.zero_count.value)


class IntCounts:
    """The same of an integer histogram, whose buckets are told by what they have more than the one before."""

    def __init__(self, bits, buckets):
        self.count, self.zero_count = Delta(bits.varbit_uint()), Delta(bits.varbit_uint())
        self.sum = XorFloat(bits)
        self.buckets = [Delta(bits.varbit_int()) for _ in range(buckets)]

    def next(self, bits):
        self.count.next(bits.varbit_int())
        self.zero_count.next(bits.varbit_int())
        self.sum.next(bits)
        if self.sum.value != made.STALE:
            for bucket in self.buckets:
                bucket.next(bits.varbit_int())

    def absolute(self, begin, end):
        total, counts = 0, []
        for bucket in self.buckets[begin:end]:
            total += bucket.value
            counts.append(total)
        return tuple(counts)

    def counts(self):
        return self.count.value & WORD, self.zero_count.value & WORD


def histograms(data, is_float):
    count, flags, bits = int.from_bytes(data[:2], "big"), data[2], Bits(data[3:])
    if not count:
        raise AssertionError("a chunk without samples")
    if flags & 0x3F:
        raise AssertionError(f"unknown flags {flags:#x}")
    layout = {"zero_threshold": zero_threshold(bits), "schema": bits.varbit_int()}
    positive, negative = spans(bits), spans(bits)
    if layout["schema"] == made.CUSTOM:
        layout["custom"] = tuple(custom_bound(bits) for _ in range(bits.varbit_uint()))
    split = sum(length for _, length in positive)
    end = split + sum(length for _, length in negative)
    samples = []
    for number in range(count):
        if number == 0:
            t = Delta(bits.varbit_int())
            counts = (FloatCounts if is_float else IntCounts)(bits, end)
        else:
            t.next(bits.varbit_int())
            counts.next(bits)
        whole, zero = counts.counts()
        samples.append((t.value, made.Histogram(
            count=whole,
            zero_count=zero,
            sum=made.float_of(counts.sum.value),
            is_float=is_float,
            gauge=RESETS[flags >> 6] == "gauge",
            positive_spans=positive,
            positive=counts.absolute(0, split),
            negative_spans=negative,
            negative=counts.absolute(split, end),
            **layout,
        )))
    bits.finish()
    return samples
