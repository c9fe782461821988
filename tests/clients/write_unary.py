"""Writes every kind of data with stock gRPC, twice: all of it counts as written each time.

Arguments: the port, and the version of remote write.
"""

import sys

import made
import wire
from talk import equal, tell


def main(port, version):
    pool = wire.compiled()
    write = wire.Service(wire.connect(port), pool, "narthex.v1.Write")
    series = made.every_kind(f"unary_v{version}")
    if version == 1:
        call, request = write.WriteV1, made.v1(wire.message(pool, "prometheus.WriteRequest"), series)
    else:
        for one in series:
            one.starts = {t: made.BEGIN - 5000 + number % 3 for number, (t, _) in enumerate(one.floats + one.histograms)}
        call, request = write.WriteV2, made.v2(wire.message(pool, "io.prometheus.write.v2.Request"), series)
    for time in ("first", "second"):
        answer = wire.answer(call, request)
        equal((answer.samples, answer.histograms, answer.exemplars), made.totals(series), f"what is stored the {time} time")
    starts = [{"metric": one.labels, "start_timestamps": list(one.starts.values())} for one in series]
    tell("written", starts=starts, **made.shown(series))


main(int(sys.argv[1]), int(sys.argv[2]))
