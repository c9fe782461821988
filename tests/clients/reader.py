"""Remote read in every way: samples and encoded chunks, over HTTP and gRPC; what comes back in a form that can be compared.

Frames are taken apart here, their checksums computed, and chunks decoded.
"""

import http.client

import chunks
import cramjam
import made
import wire
from crc32c import crc32c
from talk import equal

SAMPLES, STREAMED = 0, 1


class Normal(dict):
    """Values by series and time, in a form that does not depend on how buckets are spread over spans."""

    def add(self, labels, t, value):
        series = self.setdefault(tuple(sorted(labels.items())), {})
        if t in series:
            raise AssertionError(f"{labels} twice at {t}")
        series[t] = value

    def between(self, begin, end):
        part = Normal()
        for labels, series in self.items():
            kept = {t: value for t, value in series.items() if begin <= t <= end}
            if kept:
                part[labels] = kept
        return part

    def count(self):
        return sum(map(len, self.values()))


def by_index(spans, counts):
    index, found, counts = 0, {}, iter(counts)
    for offset, length in spans:
        index += offset
        for _ in range(length):
            count = next(counts)
            if count:
                found[index] = count
            index += 1
    equal(list(counts), [], "counts beyond the spans")
    return found


def normal(histogram):
    if made.bits(histogram.sum) == made.STALE:
        return ("stale", histogram.is_float)
    return (
        histogram.is_float,
        histogram.gauge,
        histogram.schema,
        made.bits(histogram.zero_threshold),
        histogram.zero_count,
        histogram.count,
        made.bits(histogram.sum),
        by_index(histogram.positive_spans, histogram.positive),
        by_index(histogram.negative_spans, histogram.negative),
        histogram.custom,
    )


def of_message(message):
    """The histogram in a message."""
    is_float = message.WhichOneof("count") == "count_float"
    sides = {}
    for side in ("positive", "negative"):
        counts = list(getattr(message, f"{side}_counts"))
        if not is_float:
            total = 0
            for delta in getattr(message, f"{side}_deltas"):
                total += delta
                counts.append(total)
        sides[side] = tuple(counts)
        sides[f"{side}_spans"] = tuple((span.offset, span.length) for span in getattr(message, f"{side}_spans"))
    return made.Histogram(
        schema=message.schema,
        count=message.count_float if is_float else message.count_int,
        sum=message.sum,
        is_float=is_float,
        gauge=message.reset_hint == made.GAUGE,
        zero_threshold=message.zero_threshold,
        zero_count=message.zero_count_float if is_float else message.zero_count_int,
        custom=tuple(message.custom_values),
        **sides,
    )


def expected_of(all_series):
    expected = Normal()
    for series in all_series:
        for t, value in series.floats:
            expected.add(series.labels, t, made.bits(value))
        for t, histogram in series.histograms:
            expected.add(series.labels, t, normal(histogram))
    return expected


def labels_of(message):
    labels = [(label.name, label.value) for label in message.labels]
    equal(labels, sorted(labels), "labels in order")
    return dict(labels)


def is_rising(times, what):
    equal(times, sorted(set(times)), f"{what}: times in order")


class Reader:
    """Reads in every way."""

    def __init__(self, port, most):
        self.port, self.most = port, most
        self.pool = wire.compiled()
        self.Request = wire.message(self.pool, "prometheus.ReadRequest")
        self.Response = wire.message(self.pool, "prometheus.ReadResponse")
        self.Frame = wire.message(self.pool, "prometheus.ChunkedReadResponse")
        # What was seen of chunks, so that no kind goes without a test.
        self.kinds, self.frames, self.split = set(), 0, 0

    def request(self, queries, accepted=()):
        request = self.Request(accepted_response_types=accepted)
        for matchers, (begin, end) in queries:
            query = request.queries.add(start_timestamp_ms=begin, end_timestamp_ms=end)
            for kind, name, value in matchers:
                query.matchers.add(type=kind, name=name, value=value)
        return request

    def post(self, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=wire.PATIENCE)
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Read-Version": "0.1.0"}
        body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
        connection.request("POST", "/api/v1/read", body, headers)
        answer = connection.getresponse()
        found = answer.read()
        equal(answer.status, 200, f"the answer {found[:200]!r}")
        return answer, found

    def http_samples(self, queries):
        for accepted in ((), (SAMPLES,), (SAMPLES, STREAMED), (7, SAMPLES)):
            answer, body = self.post(self.request(queries, accepted))
            equal((answer.getheader("Content-Type"), answer.getheader("Content-Encoding")), ("application/x-protobuf", "snappy"), "headers")
            yield self.of_samples(self.Response.FromString(bytes(cramjam.snappy.decompress_raw(body))), len(queries))

    def grpc_samples(self, queries):
        service = wire.Service(wire.connect(self.port), self.pool, "narthex.v1.Read")
        for accepted in ((), (STREAMED,)):
            yield self.of_samples(wire.answer(service.Read, self.request(queries, accepted)), len(queries))

    def of_samples(self, response, count):
        equal(len(response.results), count, "results")
        found = []
        for result in response.results:
            values, order = Normal(), []
            for series in result.timeseries:
                labels = labels_of(series)
                order.append(sorted(labels.items()))
                is_rising([sample.timestamp for sample in series.samples], labels)
                is_rising([histogram.timestamp for histogram in series.histograms], labels)
                for sample in series.samples:
                    values.add(labels, sample.timestamp, made.bits(sample.value))
                for histogram in series.histograms:
                    values.add(labels, histogram.timestamp, normal(of_message(histogram)))
            equal(order, sorted(order), "series in order")
            found.append(values)
        return found

    def http_chunks(self, queries):
        for accepted in ((STREAMED,), (STREAMED, SAMPLES)):
            answer, body = self.post(self.request(queries, accepted))
            kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
            equal((answer.getheader("Content-Type"), answer.getheader("Content-Encoding", "")), (kind, ""), "headers")
            yield self.of_frames([self.Frame.FromString(frame) for frame in frames_of(body)], len(queries))

    def grpc_chunks(self, queries):
        service = wire.Service(wire.connect(self.port), self.pool, "narthex.v1.Read")
        for accepted in ((), (SAMPLES,)):
            yield self.of_frames(list(wire.answer(service.ReadChunks, self.request(queries, accepted))), len(queries))

    def of_frames(self, frames, count):
        found = [Normal() for _ in range(count)]
        orders = [[] for _ in range(count)]
        is_at = 0
        for frame in frames:
            self.frames += 1
            if not is_at <= frame.query_index < count:
                raise AssertionError(f"a frame of query {frame.query_index} after one of {is_at}")
            is_at = frame.query_index
            if not frame.chunked_series:
                raise AssertionError("a frame without a series")
            for series in frame.chunked_series:
                labels = labels_of(series)
                order, values = orders[is_at], found[is_at]
                if order and order[-1] == sorted(labels.items()):
                    self.split += 1
                else:
                    order.append(sorted(labels.items()))
                self.of_chunks(labels, series, values)
        for order in orders:
            equal(order, sorted(order), "series in order")
        return found

    def of_chunks(self, labels, series, values):
        if not series.chunks:
            raise AssertionError(f"{labels} without chunks")
        before = max(values.get(tuple(sorted(labels.items())), {0: 0}))
        size = 0
        for chunk in series.chunks:
            size += chunk.ByteSize()
            samples = chunks.decode(chunk.type, chunk.data)
            times = [t for t, _ in samples]
            is_rising(times, labels)
            equal((chunk.min_time_ms, chunk.max_time_ms), (times[0], times[-1]), f"the range of a chunk of {labels}")
            if times[0] <= before:
                raise AssertionError(f"chunks of {labels} overlap: {times[0]} after {before}")
            before = times[-1]
            self.kinds.add(chunk.type)
            for t, value in samples:
                values.add(labels, t, value if chunk.type == chunks.XOR else normal(value))
        last = series.chunks[-1].ByteSize()
        if len(series.chunks) > 1 and size - last >= self.most:
            raise AssertionError(f"{size} bytes of chunks in a frame of at most {self.most}")


def frames_of(body):
    """The messages of a streamed answer."""
    at, found = 0, []
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        checksum, message = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 4 + size]
        equal(len(message), size, "the bytes of a frame")
        equal(crc32c(message), checksum, "the checksum of a frame")
        found.append(message)
        at += 4 + size
    return found


def differences(found, expected):
    for labels in sorted(set(found) | set(expected)):
        one, other = found.get(labels, {}), expected.get(labels, {})
        for t in sorted(set(one) | set(other)):
            if one.get(t) != other.get(t):
                yield f"{labels} at {t}: {one.get(t)} instead of {other.get(t)}"
