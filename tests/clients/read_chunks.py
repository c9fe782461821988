"""Reads what it has written, in every way there is, and compares every value: out of the head, after a kill, out of blocks, after a deletion.

Arguments: the port, and the most bytes of a frame.
"""

import http.client
import sys

import chunks
import made
import wire
from made import BEGIN
from reader import Normal, Reader, differences, expected_of
from talk import equal, tell, wait

MINUTE, HOUR = 60_000, 3_600_000
EQ, RE = 0, 2
FOREVER = (0, 9_999_999_999_999)


def data():
    """Six hours of every kind of data, odd floats and late ones included; a request after the other."""
    count = 6 * 60
    everything = [made.floats("chunked_total", count, step=MINUTE, series=str(number)) for number in range(5)]
    everything += [made.floats("chunked_seconds", 2 * count, step=MINUTE // 2, odd="é🔥\n")]
    kinds = {
        "integer": made.integer,
        "gauge": lambda number: made.integer(number * 37 % 101, gauge=True),
        "floating": made.floating,
        "custom": made.custom,
        "custom_floating": made.custom_floating,
    }
    for kind, make in kinds.items():
        series = made.Series({"__name__": f"chunked_{kind}"})
        series.histograms = [(BEGIN + number * MINUTE, make(number + 1)) for number in range(count)]
        everything.append(series)
    # A stale marker ends one of each.
    stale = made.float_of(made.STALE)
    everything[0].floats.append((BEGIN + count * MINUTE, stale))
    everything[6].histograms.append((BEGIN + count * MINUTE, made.Histogram(schema=0, count=0, sum=stale)))
    everything[8].histograms.append((BEGIN + count * MINUTE, made.Histogram(schema=0, count=0, sum=stale, is_float=True)))
    return everything


def late():
    """Samples between those that are there, an hour before the newest."""
    begin = BEGIN + 5 * HOUR
    return [made.Series({"__name__": "chunked_total", "series": "1"}, floats=[(begin + at * MINUTE + 30_000, -at / 3) for at in range(40)])]


def check(reader, expected, when):
    """All of it, single series, and ranges whose ends lie inside chunks, two queries at a time."""
    everything = [(RE, "__name__", "chunked_.+")]
    one = [(EQ, "__name__", "chunked_total"), (EQ, "series", "1")]
    middle = (BEGIN + HOUR + 7 * MINUTE, BEGIN + 5 * HOUR + 20 * MINUTE + 30_000)
    of_one = Normal({labels: series for labels, series in expected.items() if ("series", "1") in labels})
    nothing = [(EQ, "__name__", "chunked_nothing")]
    asked = [
        ([(everything, FOREVER), (one, middle)], [expected, of_one.between(*middle)]),
        ([(everything, middle)], [expected.between(*middle)]),
        ([(nothing, FOREVER), (one, (BEGIN + HOUR, BEGIN + HOUR + 1))], [Normal(), of_one.between(BEGIN + HOUR, BEGIN + HOUR + 1)]),
    ]
    for way in (reader.http_samples, reader.grpc_samples, reader.http_chunks, reader.grpc_chunks):
        for queries, wanted in asked:
            for found in way(queries):
                for result, right in zip(found, wanted, strict=True):
                    wrong = list(differences(result, right))
                    if wrong:
                        raise AssertionError(f"{way.__name__} {when}: {len(wrong)} of {right.count()} values differ: {wrong[:3]}")


def delete(port, expected, selector, labels, begin, end):
    """Deletes a range, here and there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=wire.PATIENCE)
    connection.request("POST", f"/api/v1/admin/tsdb/delete_series?match%5B%5D={selector}&start={begin / 1000:.3f}&end={end / 1000:.3f}")
    answer = connection.getresponse()
    equal((answer.status, answer.read()), (204, b""), "the answer to a deletion")
    series = expected[labels]
    for t in [t for t in series if begin <= t <= end]:
        del series[t]


def between(all_series, begin, end):
    """What these series have from one time on and before another."""
    def part(timed):
        return [one for one in timed if begin <= one[0] < end]

    return [made.Series(series.labels, part(series.floats), part(series.histograms)) for series in all_series]


def main(port, most):
    reader = Reader(port, most)
    write = wire.Service(wire.connect(port), reader.pool, "narthex.v1.Write")
    Request = wire.message(reader.pool, "prometheus.WriteRequest")
    expected = Normal()

    def store(series):
        answer = wire.answer(write.WriteV1, made.v1(Request, series), wait_for_ready=True)
        equal((answer.samples, answer.histograms, answer.exemplars), made.totals(series), "what is stored")
        for labels, values in expected_of(series).items():
            expected.setdefault(labels, {}).update(values)

    # Less than what makes a block.
    everything, split = data(), BEGIN + 5 * HOUR // 2
    store(between(everything, 0, split))
    check(reader, expected, "in the head")
    tell("read from the head", values=expected.count())
    wait()
    check(reader, expected, "after a restart")
    store(between(everything, split, FOREVER[1]))
    store(late())
    check(reader, expected, "while blocks are made")
    tell("read after a restart", values=expected.count())
    wait()
    check(reader, expected, "in blocks")
    # A deletion ends inside chunks, in blocks and in the head.
    name = (("__name__", "chunked_integer"),)
    delete(port, expected, "chunked_integer", name, BEGIN + HOUR + 30_000, BEGIN + 5 * HOUR + 90_000)
    one = (("__name__", "chunked_total"), ("series", "2"))
    delete(port, expected, "chunked_total%7Bseries%3D%222%22%7D", one, BEGIN + 100, BEGIN + 30 * MINUTE)
    check(reader, expected, "after a deletion")
    equal(reader.kinds, {chunks.XOR, chunks.HISTOGRAM, chunks.FLOAT_HISTOGRAM}, "encodings that were seen")
    if reader.split < 20:
        raise AssertionError(f"only {reader.split} of {reader.frames} frames go on with a series")
    tell("done", frames=reader.frames, split=reader.split)


main(int(sys.argv[1]), int(sys.argv[2]))
