"""A Receive router in front of narthex: everything is stored exactly, and the router gives up only
on what narthex rejects permanently.
"""

import contextlib
import json
import time
import unittest

import command_lines
from command_lines import ROOT
from http_calls import wait_until
from programs import Narthex, Router, series_key, workspace
from remote_write import encode_series

NOW = int(time.time() * 1000)
HOUR_MS = 3_600_000
MAX_SERIES = 5000
# Requests of Prometheus, recorded on the wire.
RECORDED = ROOT / "tests/golden/wire/rw1"
STALE_MARKER = "7ff0000000000002"


@contextlib.contextmanager
def routed(num_narthexes, factor, first_t=NOW):
    """Yields a router and the narthex behind it."""
    with workspace() as directory, contextlib.ExitStack() as stack:
        limit = {"--storage.remote.write-max-series": str(MAX_SERIES)}
        narthexes = [
            stack.enter_context(Narthex(directory, f"narthex-{index}", values=limit))
            for index in range(num_narthexes)
        ]
        arguments = command_lines.thanos("receive", "Write through a Thanos Receive router")
        router = Router(directory, arguments, narthexes, factor, first_t)
        yield stack.enter_context(router), narthexes


def with_tenant(labels, tenant):
    return series_key({**labels, "tenant_id": tenant})


class RouterTest(unittest.TestCase):
    def test_series_of_two_tenants_are_kept_apart(self):
        expected = {}
        with routed(num_narthexes=2, factor=2) as (router, narthexes):
            for tenant, value in [("blue", 0.1), ("green", 0.2)]:
                labels = [{"__name__": "owned", "series": str(index)} for index in range(200)]
                samples = [(NOW - 2000, value), (NOW - 1000, -value)]
                self.assertEqual(
                    router.write([encode_series(one, samples) for one in labels], tenant)[0], 200
                )
                expected |= {with_tenant(one, tenant): dict(samples) for one in labels}
            # The router responds when one copy is stored; the other follows.
            for narthex in narthexes:
                wait_until("the copy", lambda: narthex.export('{__name__="owned"}') == expected)

    def test_rejected_samples_are_409_and_others_are_stored(self):
        cases = {
            "conflict": encode_series({"__name__": "judged"}, [(NOW, 2.0)]),
            "future": encode_series({"__name__": "judged"}, [(NOW + 24 * HOUR_MS, 1.0)]),
            "too old": encode_series({"__name__": "judged"}, [(NOW - 720 * HOUR_MS, 1.0)]),
            "no metric name": encode_series({"a": "b"}, [(NOW, 1.0)]),
        }
        with routed(num_narthexes=1, factor=1) as (router, [narthex]):
            stored = encode_series({"__name__": "judged"}, [(NOW, 1.0)])
            for attempt in ("first write", "retry"):
                self.assertEqual(router.write([stored], "red")[0], 200, attempt)
            for name, rejected in cases.items():
                with self.subTest(name):
                    labels = {"__name__": "accepted", "case": name}
                    accepted = encode_series(labels, [(NOW, 1.0)])
                    status, text = router.write([rejected, accepted], "red")
                    self.assertEqual(status, 409, text)
                    self.assertIn("AlreadyExists", text)
                    found = narthex.export(f'{{case="{name}"}}')
                    self.assertEqual(found, {with_tenant(labels, "red"): {NOW: 1.0}})
            judged = narthex.export("judged")
            self.assertEqual(list(judged.values()), [{NOW: 1.0}])

    def test_conflict_with_both_copies_is_409(self):
        labels = {"__name__": "judged"}
        with routed(num_narthexes=2, factor=2) as (router, narthexes):
            self.assertEqual(router.write([encode_series(labels, [(NOW, 1.0)])], "red")[0], 200)
            for narthex in narthexes:
                wait_until("the copy", lambda: narthex.export("judged"))
            status, text = router.write([encode_series(labels, [(NOW, 2.0)])], "red")
            self.assertEqual(status, 409, text)

    def test_message_over_default_grpc_limit_is_stored(self):
        """gRPC servers accept 4 MiB by default."""
        with routed(num_narthexes=1, factor=1) as (router, [narthex]):
            labels = {"__name__": "large", "text": "x" * 5000}
            series = [
                encode_series({**labels, "series": str(index)}, [(NOW, 1.0)])
                for index in range(1200)
            ]
            self.assertGreater(sum(map(len, series)), 5 << 20)
            self.assertEqual(router.write(series, "red")[0], 200)
            self.assertEqual(len(narthex.export("large")), len(series))

    def test_message_over_limit_of_narthex_is_409(self):
        with routed(num_narthexes=1, factor=1) as (router, [narthex]):
            series = [
                encode_series({"__name__": "many", "series": str(index)}, [(NOW, 1.0)])
                for index in range(MAX_SERIES + 1)
            ]
            self.assertEqual(router.write(series, "red")[0], 409)
            self.assertEqual(narthex.export("many"), {})
            self.assertEqual(router.write(series[1:], "red")[0], 200)

    def test_recorded_requests_of_prometheus_are_stored_exactly(self):
        requests = list(recorded_requests())
        self.assertGreater(len(requests), 1)
        expected = stored_samples(series for _, all_series in requests for series in all_series)
        first_t = min(t for samples in expected.values() for t in samples)
        with routed(num_narthexes=1, factor=1, first_t=first_t) as (router, [narthex]):
            for body, _ in requests:
                status, text = router.post(body, "golden")
                self.assertEqual(status, 200, text)
            found = narthex.export('{tenant_id="golden"}', values="bits")
            self.assertEqual(found, expected)


def recorded_requests():
    """Returns body and series of each recorded request."""
    for path in sorted(RECORDED.glob("*.json")):
        series = json.loads(path.read_text())["decoded"]["timeseries"]
        yield path.with_suffix(".body").read_bytes(), series


def stored_samples(all_series):
    """Returns the samples of recorded series as narthex exports their bits. The stale marker of a
    series of native histograms is sent as a float and stored as a histogram.
    """
    stored = {}
    for series in all_series:
        samples = stored.setdefault(with_tenant(series["labels"], "golden"), {})
        samples.update({sample["t"]: sample["v"] for sample in series.get("samples", [])})
        samples.update({sample["t"]: None for sample in series.get("histograms", [])})
    for samples in stored.values():
        if None in samples.values():
            stale = [t for t, value in samples.items() if value == STALE_MARKER]
            samples.update(dict.fromkeys(stale))
    return {key: samples for key, samples in stored.items() if samples}


if __name__ == "__main__":
    unittest.main()
