"""Asks two servers for the same encoded chunks, one after the other on the same directory: their answers are the same byte for byte.

The first is narthex, which writes the directory; the second is a Prometheus. Arguments: both ports, and the most bytes of a frame.
"""

import sys

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
        one, other = frames_of(one), frames_of(other)
        equal([len(frame) for frame in one], [len(frame) for frame in other], f"bytes of the frames of question {question}")
        for number, (frame, twin_frame) in enumerate(zip(one, other)):
            if frame != twin_frame:
                Frame = readers[0].Frame
                raise AssertionError(f"question {question}, frame {number}: {Frame.FromString(frame)} instead of {Frame.FromString(twin_frame)}")
    tell("compared", bytes=sum(map(len, own)), frames=len(frames_of(own[0])))


def ask(reader):
    """The bodies of all answers."""
    return [reader.post(reader.request(question, (STREAMED,)))[1] for question in questions()]


main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
