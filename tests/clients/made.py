"""Made-up data of every kind: as messages of both versions of remote write, and as what the export must show of it.

The export's form is that of `/api/v1/export?values=bits`: every float as the hexadecimal text of its bits.
"""

import dataclasses
import struct

# 2025-11-05T00:00:00Z, the start of a two-hour range.
BEGIN = 1_762_300_800_000
CUSTOM = -53
GAUGE = 3

STALE = 0x7FF0_0000_0000_0002
ODD = [
    0x0000_0000_0000_0000,  # 0
    0x8000_0000_0000_0000,  # -0
    0x0000_0000_0000_0001,  # the smallest
    0x7FEF_FFFF_FFFF_FFFF,  # the largest
    0x7FF0_0000_0000_0000,  # infinite
    0xFFF0_0000_0000_0000,
    0x7FF8_0000_0000_0001,  # not a number
    0xFFF8_0000_0000_1234,
    STALE,
    0x3FB9_9999_9999_999A,  # 0.1
]


def bits(value):
    """The bits of a float."""
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def float_of(number):
    """The float of these bits."""
    value = struct.unpack("<d", struct.pack("<Q", number))[0]
    if bits(value) != number:
        raise AssertionError("this Python changes the bits of floats")
    return value


def hexed(value):
    """A float as the export writes it."""
    return f"{bits(value):016x}"


@dataclasses.dataclass(frozen=True)
class Histogram:
    """A native histogram; spans are pairs of an offset and a length, counts of buckets are absolute."""

    schema: int
    count: float
    sum: float
    is_float: bool = False
    gauge: bool = False
    zero_threshold: float = 0.0
    zero_count: float = 0
    positive_spans: tuple = ()
    positive: tuple = ()
    negative_spans: tuple = ()
    negative: tuple = ()
    custom: tuple = ()

    def fields(self, t):
        """The fields of its message, which are the same in both versions."""
        kind = "float" if self.is_float else "int"
        fields = {
            f"count_{kind}": self.count,
            f"zero_count_{kind}": self.zero_count,
            "sum": self.sum,
            "schema": self.schema,
            "zero_threshold": self.zero_threshold,
            "reset_hint": GAUGE if self.gauge else 0,
            "timestamp": t,
            "custom_values": self.custom,
        }
        for side in ("positive", "negative"):
            counts = getattr(self, side)
            fields[f"{side}_spans"] = [{"offset": o, "length": n} for o, n in getattr(self, f"{side}_spans")]
            if self.is_float:
                fields[f"{side}_counts"] = counts
            else:
                fields[f"{side}_deltas"] = [count - before for count, before in zip(counts, (0, *counts))]
        return fields

    def exported(self):
        """As the export shows it."""
        count = hexed if self.is_float else int
        return {
            "float": self.is_float,
            "reset_hint": "gauge" if self.gauge else "unknown",
            "schema": self.schema,
            "zero_threshold": hexed(self.zero_threshold),
            "zero_count": count(self.zero_count),
            "count": count(self.count),
            "sum": hexed(self.sum),
            "positive_spans": self.positive_spans,
            "positive_buckets": [count(value) for value in self.positive],
            "negative_spans": self.negative_spans,
            "negative_buckets": [count(value) for value in self.negative],
            "custom_values": [hexed(value) for value in self.custom],
        }


def integer(number, gauge=False):
    """A histogram of whole counts that grows with its number, on both sides of 0; its spans grow too."""
    positive = tuple(number + bucket for bucket in range(3 + number // 40))
    negative = (number, 2 * number)
    return Histogram(
        schema=3,
        count=sum(positive) + sum(negative) + 7,
        sum=float_of(bits(number * 0.1)),
        gauge=gauge,
        zero_threshold=2.0**-128,
        zero_count=7,
        positive_spans=((-2, 2), (5, 1 + number // 40)),
        positive=positive,
        negative_spans=((0, 1), (1000, 1)),
        negative=negative,
    )


def floating(number):
    """A histogram of counts that are not whole."""
    positive = (number + 0.25, number / 3)
    return Histogram(
        schema=-4,
        count=sum(positive) + 0.5,
        sum=-number / 7,
        is_float=True,
        zero_threshold=0.001,
        zero_count=0.5,
        positive_spans=((3, 2),),
        positive=positive,
    )


def custom(number):
    """A histogram of whole counts with custom buckets."""
    positive = (number, number + 1, number + 2)
    return Histogram(
        schema=CUSTOM,
        count=sum(positive),
        sum=number * 1.5,
        positive_spans=((0, 2), (1, 1)),
        positive=positive,
        custom=(0.005, 0.1, 2.5, 1e6),
    )


def custom_floating(number):
    """A histogram of counts that are not whole with custom buckets."""
    positive = (number + 0.5, number / 9)
    return Histogram(
        schema=CUSTOM,
        count=sum(positive),
        sum=number / 11,
        is_float=True,
        positive_spans=((1, 2),),
        positive=positive,
        custom=(-1.5, 0.1, 1 / 3),
    )


@dataclasses.dataclass
class Series:
    """A series and what is to be written of it: pairs of a time and a value, and exemplars as times, values and labels."""

    labels: dict
    floats: list = dataclasses.field(default_factory=list)
    histograms: list = dataclasses.field(default_factory=list)
    exemplars: list = dataclasses.field(default_factory=list)
    # The start of what is counted, by the time of the sample.
    starts: dict = dataclasses.field(default_factory=dict)
    # A type by its number, a unit and a help text.
    metadata: tuple = None

    def count(self):
        """How many samples, histograms and exemplars it has."""
        return len(self.floats), len(self.histograms), len(self.exemplars)

    def exported(self):
        """Its line of the export."""
        line = {
            "metric": self.labels,
            "values": [hexed(value) for _, value in self.floats],
            "timestamps": [t for t, _ in self.floats],
        }
        if self.histograms:
            line["histograms"] = [histogram.exported() for _, histogram in self.histograms]
            line["histogram_timestamps"] = [t for t, _ in self.histograms]
        return line


def floats(name, count, step=15_000, begin=BEGIN, **labels):
    """A series of floats: a counter that is now and then at rest, with odd values in between."""
    series = Series({"__name__": name, **labels})
    for number in range(count):
        value = float_of(ODD[number % len(ODD)]) if number % 7 == 3 else number // 3 * 0.1
        series.floats.append((begin + number * step + number % 2, value))
    return series


def every_kind(prefix, count=130, begin=BEGIN):
    """Series of every kind of data with exemplars and metadata: more than a chunk of each."""
    plain = floats(f"{prefix}_total", count * 2, begin=begin, odd='a"b\\c\nd é🔥')
    plain.metadata = (1, "", f"Counts of {prefix}.")
    for t, value in plain.floats[::20]:
        plain.exemplars.append((t, 0.5, {"trace_id": f"{t:x}"}))
    all_series = [plain]
    kinds = {
        "integer": integer,
        "gauge": lambda number: integer(number * 37 % 101, gauge=True),
        "floating": floating,
        "custom": custom,
        "custom_floating": custom_floating,
    }
    for kind, make in kinds.items():
        series = Series({"__name__": f"{prefix}_{kind}", "kind": kind})
        series.histograms = [(begin + number * 30_000, make(number + 1)) for number in range(count)]
        series.metadata = (4 if kind == "gauge" else 3, "seconds", f"Histograms of {kind}.")
        all_series.append(series)
    return all_series


def totals(all_series):
    """How many samples, histograms and exemplars these series have."""
    return tuple(map(sum, zip(*(series.count() for series in all_series))))


def v1(Request, all_series):
    """A request of remote write 1.0."""
    request = Request()
    for series in all_series:
        entry = request.timeseries.add()
        for name, value in sorted(series.labels.items()):
            entry.labels.add(name=name, value=value)
        for t, value in series.floats:
            entry.samples.add(timestamp=t, value=value)
        for t, histogram in series.histograms:
            entry.histograms.add(**histogram.fields(t))
        for t, value, labels in series.exemplars:
            exemplar = entry.exemplars.add(timestamp=t, value=value)
            for name, label_value in labels.items():
                exemplar.labels.add(name=name, value=label_value)
        if series.metadata:
            kind, unit, help_text = series.metadata
            request.metadata.add(type=kind, metric_family_name=series.labels["__name__"], unit=unit, help=help_text)
    return request


def v2(Request, all_series):
    """A request of remote write 2.0."""
    request = Request(symbols=[""])
    known = {"": 0}

    def symbol(text):
        if text not in known:
            known[text] = len(known)
            request.symbols.append(text)
        return known[text]

    def refs(labels):
        return [symbol(text) for pair in sorted(labels.items()) for text in pair]

    for series in all_series:
        entry = request.timeseries.add(labels_refs=refs(series.labels))
        for t, value in series.floats:
            entry.samples.add(timestamp=t, value=value, start_timestamp=series.starts.get(t, 0))
        for t, histogram in series.histograms:
            entry.histograms.add(**histogram.fields(t), start_timestamp=series.starts.get(t, 0))
        for t, value, labels in series.exemplars:
            entry.exemplars.add(timestamp=t, value=value, labels_refs=refs(labels))
        if series.metadata:
            kind, unit, help_text = series.metadata
            entry.metadata.type = kind
            entry.metadata.unit_ref, entry.metadata.help_ref = symbol(unit), symbol(help_text)
    return request


TYPES = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"]


def seconds(t):
    """A time as Prometheus's JSON has it."""
    return t / 1000 if t % 1000 else t // 1000


def shown(all_series):
    """What the test must find of these series: by the export, and by the pages of exemplars and of metadata."""
    exemplars = []
    for series in all_series:
        if series.exemplars:
            found = [{"labels": labels, "value": f"{value:g}", "timestamp": seconds(t)} for t, value, labels in series.exemplars]
            exemplars.append({"seriesLabels": series.labels, "exemplars": found})
    metadata = {}
    for series in all_series:
        if series.metadata:
            kind, unit, help_text = series.metadata
            metadata[series.labels["__name__"]] = [{"type": TYPES[kind], "unit": unit, "help": help_text}]
    return {"export": [series.exported() for series in all_series], "exemplars": exemplars, "metadata": metadata}
