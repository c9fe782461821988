"""Streams requests with stock gRPC: acks in order, refusals in acks, the rules of the stream; then goes on while the server is killed under it.

Arguments: the port, how often the server is killed, and the versions of remote write that requests take in turn.
"""

import collections
import sys
import threading
import time

import grpc
import made
import wire
from made import BEGIN, Series
from talk import equal, tell

# Requests without an ack at any time.
WINDOW = 64
# Acks between two kills.
BETWEEN = 150


def numbered(number):
    """What the request of that number writes: five floats, a histogram, an exemplar."""
    t = BEGIN + number * 1000
    every = [Series({"__name__": "streamed", "series": str(one)}, floats=[(t, number + one / 8)]) for one in range(5)]
    every[0].exemplars = [(t, 0.5, {"trace_id": f"{number:x}"})]
    return [*every, Series({"__name__": "streamed_histogram"}, histograms=[(t, made.integer(number % 100 + 1))])]


class Client:
    """Makes the messages of streams, and opens them."""

    def __init__(self, port, versions):
        self.pool = wire.compiled()
        self.port, self.versions = port, versions
        self.Item = wire.message(self.pool, "narthex.v1.WriteStreamRequest")
        self.V1 = wire.message(self.pool, "prometheus.WriteRequest")
        self.V2 = wire.message(self.pool, "io.prometheus.write.v2.Request")

    def item(self, sequence, all_series):
        if self.versions[sequence % len(self.versions)] == 1:
            return self.Item(sequence=sequence, v1=made.v1(self.V1, all_series))
        return self.Item(sequence=sequence, v2=made.v2(self.V2, all_series))

    def open(self, items, **options):
        stream = wire.Service(wire.connect(self.port), self.pool, "narthex.v1.Write").WriteStream
        return stream(items, timeout=wire.PATIENCE, **options)


def stored(ack):
    return ack.stored.samples, ack.stored.histograms, ack.stored.exemplars


def acks_come_in_order(client):
    """Sequences with gaps; some are refused in part, or whole, and the stream goes on."""
    one = Series({"__name__": "judged"}, floats=[(BEGIN, 1.0), (BEGIN + 1, 2.0)])
    conflict = Series({"__name__": "judged"}, floats=[(BEGIN, 9.0), (BEGIN + 1, 9.0), (BEGIN + 2, 3.0)])
    nameless = Series({"a": "b"}, floats=[(BEGIN, 1.0)])
    items = [
        client.item(5, [one]),
        client.item(6, [conflict]),
        client.item(1000, [nameless]),
        client.Item(sequence=1001, v1={}),
        client.item(2**63, [one]),
        client.item(2**64 - 1, [Series({"__name__": "judged"}, floats=[(BEGIN + 3, 4.0)])]),
    ]
    acks = list(client.open(iter(items)))
    equal([ack.sequence for ack in acks], [item.sequence for item in items], "the sequences of acks")
    equal([stored(ack) for ack in acks], [(2, 0, 0), (1, 0, 0), (0, 0, 0), (0, 0, 0), (2, 0, 0), (1, 0, 0)], "what is stored")
    equal([ack.HasField("rejection") for ack in acks], [False, True, True, False, False, False], "which acks refuse something")
    for ack, counts, name in ((acks[1], [("sample", "duplicate_timestamp", 2)], "judged"), (acks[2], [("sample", "invalid_labels", 1)], "b")):
        equal(ack.rejection.code, grpc.StatusCode.INVALID_ARGUMENT.value[0], "the code of what is refused")
        equal([(one.kind, one.reason, one.count) for one in ack.rejection.counts], counts, "what is refused")
        if name not in ack.rejection.message:
            raise AssertionError(f"{name!r} is not in {ack.rejection.message!r}")
    return [Series({"__name__": "judged"}, floats=[(BEGIN, 1.0), (BEGIN + 1, 2.0), (BEGIN + 2, 3.0), (BEGIN + 3, 4.0)])]


def sequences_must_rise(client):
    """What came before is acknowledged, and then the stream ends with an error."""
    first = Series({"__name__": "risen"}, floats=[(BEGIN, 1.0)])
    never = Series({"__name__": "risen"}, floats=[(BEGIN + 1, 1.0)])
    for second in (7, 6, 0):
        stream = client.open(iter([client.item(7, [first]), client.item(second, [never])]))
        acks = []
        try:
            for ack in stream:
                acks.append(ack.sequence)
        except grpc.RpcError as error:
            equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT, f"{second} after 7")
        else:
            raise AssertionError(f"{second} after 7 is taken")
        equal(acks, [7], f"acks before {second} came after 7")
    equal(list(client.open(iter(()))), [], "acks of a stream without requests")
    return [first]


class Resuming:
    """Sends numbered requests over streams, one after another; what has no ack when one breaks is sent again over the next."""

    def __init__(self, client, kills):
        self.client, self.kills = client, kills
        self.next, self.unacked = 1, collections.deque()
        self.acked = self.breaks = self.refused = self.repeated = 0
        # Whether the test was told that this stream is one to be broken.
        self.under_way = False
        self.changed = threading.Condition()

    def run(self):
        while True:
            stopped, self.under_way = threading.Event(), False
            stream = self.client.open(self.requests(stopped), wait_for_ready=True)
            try:
                self.take_acks(stream)
                return
            except grpc.RpcError as error:
                self.judge(error)
            finally:
                stopped.set()
                with self.changed:
                    self.changed.notify_all()

    def judge(self, error):
        """A stream may break while the server is killed, and be refused while it is still starting."""
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED):
            raise error
        if self.under_way:
            self.breaks += 1
        elif self.refused == 1000:
            raise error
        else:
            self.refused += 1
            time.sleep(0.1)

    def requests(self, stopped):
        """First what has no ack, then more; after the last kill a few more and the end."""
        with self.changed:
            again = list(self.unacked)
            self.repeated += len(again)
            last = None
        for number in again:
            yield self.client.item(number, numbered(number))
        while True:
            with self.changed:
                self.changed.wait_for(lambda: stopped.is_set() or len(self.unacked) < WINDOW)
                if self.breaks == self.kills and last is None:
                    last = self.next + BETWEEN
                if stopped.is_set() or self.next == last:
                    return
                number = self.next
                self.next += 1
                self.unacked.append(number)
            yield self.client.item(number, numbered(number))

    def take_acks(self, stream):
        got = 0
        for ack in stream:
            with self.changed:
                equal(ack.sequence, self.unacked.popleft(), "the next ack")
                self.changed.notify_all()
            equal(stored(ack), (5, 1, 1), f"what is stored of {ack.sequence}")
            equal(ack.HasField("rejection"), False, f"whether something of {ack.sequence} is refused")
            self.acked += 1
            got += 1
            if got >= BETWEEN and not self.under_way and self.breaks < self.kills:
                self.under_way = True
                tell("under way")


def merged(all_series):
    """One series of all that have the same labels."""
    by_labels = {}
    for series in all_series:
        one = by_labels.setdefault(tuple(series.labels.items()), Series(series.labels))
        one.floats += series.floats
        one.histograms += series.histograms
        one.exemplars += series.exemplars
    return list(by_labels.values())


def main(port, kills, versions):
    client = Client(port, versions)
    written = acks_come_in_order(client) + sequences_must_rise(client)
    resuming = Resuming(client, kills)
    resuming.run()
    equal((resuming.acked, len(resuming.unacked), resuming.breaks), (resuming.next - 1, 0, kills), "acks, requests without one, and breaks")
    for number in range(1, resuming.next):
        written += numbered(number)
    tell("written", requests=resuming.acked, repeated=resuming.repeated, **made.shown(merged(written)))


main(int(sys.argv[1]), int(sys.argv[2]), [int(version) for version in sys.argv[3:]])
