"""The golden database `blocks-clean`, which a real Prometheus wrote, and its samples."""

import gzip
import json
import struct
import tarfile

from command_lines import ROOT
from programs import series_key

DIRECTORY = ROOT / "tests/golden/blocks-clean"
# Range around all samples, ms.
BEGIN, END = 1_762_300_000_000, 1_762_350_000_000
SELECTOR = '{__name__!=""}'
SECONDS = {"start": BEGIN // 1000, "end": END // 1000}
STALE_MARKER = "7ff0000000000002"
# Flag of narthex: the samples are older than the default retention.
KEEP_ALL = {"--storage.tsdb.retention.time": "100y"}


def unpack(narthex):
    """Unpacks the database as the data directory of a narthex that is not started."""
    with tarfile.open(DIRECTORY / "data.tar.gz") as archive:
        archive.extractall(narthex.data.parent)


def samples(**external_labels):
    """Returns {label pairs: {t: value}} with external labels, values as in `printed`. Stale markers
    are left out, because PromQL does not return them.
    """
    all_samples = {}
    with gzip.open(DIRECTORY / "expected.txt.gz", "rt") as lines:
        for entry in map(json.loads, lines):
            if "labels" in entry:
                key = series_key({**entry["labels"], **external_labels})
                all_samples[key] = {}
            elif entry["v"] != STALE_MARKER:
                (value,) = struct.unpack(">d", bytes.fromhex(entry["v"]))
                all_samples[key][entry["t"]] = repr(value)
    return {key: series_samples for key, series_samples in all_samples.items() if series_samples}


def printed(view):
    """Returns the samples with their values printed, so that NaN equals NaN and 0 is not -0."""
    return {key: {t: repr(value) for t, value in one.items()} for key, one in view.items()}
