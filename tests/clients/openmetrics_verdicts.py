"""Verdicts of prometheus_client's OpenMetrics parser, for the test `openmetrics`.

Is told a list of bodies. Tells for each one null if it is refused, else its samples: name, sorted
labels, and the value as text."""
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import talk


def verdict(body):
    try:
        families = list(text_string_to_metric_families(body))
    except Exception:  # The parser raises several types for malformed bodies.
        return None
    return [
        [sample.name, sorted(sample.labels.items()), repr(float(sample.value))]
        for family in families
        for sample in family.samples
    ]


bodies = talk.wait()["bodies"]
talk.tell("verdicts", verdicts=[verdict(body) for body in bodies])
