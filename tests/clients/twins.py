"""Asks two servers for the same encoded chunks, one after the other on the same directory: their answers are the same, every bit of every chunk.

The first is narthex, which writes the directory; the second is a Prometheus. Arguments: both ports, and the most bytes of a frame.
"""

import sys

import chunks
import made
import wire
from made import BEGIN
from reader import Reader, differences, expected_of, frames_of
from talk import equal, tell, wait

MINUTE = 60_000
EQ, RE, STREAMED = 0, 2, 1


def data():
    """What a Prometheus of years ago knows: floats, and histograms of whole counts."""
    everything = [made.floats("twin_total", 500, series=str(number), filler="x" * (50 * number + 1)) for number in range(8)]
    histogram = made.Series({"__name__": "twin_histogram"})
    histogram.histograms = [(BEGIN + number * 15_000, made.integer(number + 1)) for number in range(300)]
    return [*everything, histogram]


def questions():
    """All of it, two queries at once, and ranges whose ends lie inside chunks."""
    everything, one = [(RE, "__name__", "twin_.+")], [(EQ, "series", "3")]
    whole = (BEGIN - MINUTE, BEGIN + 1000 * MINUTE)
    inside = (BEGIN + 40 * MINUTE + 1, BEGIN + 90 * MINUTE)
    return [[(everything, whole)], [(one, whole), (everything, inside)], [(one, inside)]]


def main(port, twin, most):
    readers = [Reader(port, most), Reader(twin, most)]
    write = wire.Service(wire.connect(port), readers[0].pool, "narthex.v1.Write")
    series = data()
    answer = wire.answer(write.WriteV1, made.v1(wire.message(readers[0].pool, "prometheus.WriteRequest"), series))
    equal((answer.samples, answer.histograms, answer.exemplars), made.totals(series), "what is stored")
    own = ask(readers[0])
    (found,) = readers[0].of_frames([readers[0].Frame.FromString(frame) for frame in frames_of(own[0])], 1)
    wrong = list(differences(found, expected_of(series)))
    equal(wrong[:3], [], f"{len(wrong)} differences")
    tell("asked")
    wait()
    for question, (one, other) in enumerate(zip(own, ask(readers[1]), strict=True)):
        Frame = readers[0].Frame
        one, other = ([Frame.FromString(frame) for frame in frames_of(body)] for body in (one, other))
        forget_resets(one, other)
        if one != other:
            at = next((at for at, (frame, twin_frame) in enumerate(zip(one, other)) if frame != twin_frame), min(len(one), len(other)))
            raise AssertionError(f"question {question}, frame {at} of {len(one)} and {len(other)}: {one[at:at + 1]} instead of {other[at:at + 1]}")
    tell("compared", bytes=sum(map(len, own)), frames=len(frames_of(own[0])))


def forget_resets(own, twin):
    """A Prometheus of years ago does not know any more, after a start, whether a counter was reset before its open chunk: narthex does."""
    for frame, twin_frame in zip(own, twin):
        for series, twin_series in zip(frame.chunked_series, twin_frame.chunked_series):
            for chunk, twin_chunk in zip(series.chunks, twin_series.chunks):
                if chunk.type == chunks.HISTOGRAM and twin_chunk.data[2] == 0:
                    chunk.data = chunk.data[:2] + b"\0" + chunk.data[3:]


def ask(reader):
    """The bodies of all answers."""
    return [reader.post(reader.request(question, (STREAMED,)))[1] for question in questions()]


main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
