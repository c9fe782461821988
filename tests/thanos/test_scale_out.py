"""Several narthex behind a router: nothing that the router acknowledged is lost when a narthex is
killed or added under load, and Query returns no series and no timestamp twice.
"""

import contextlib
import time
import unittest

import command_lines
import remote_write
from http_calls import wait_until
from load import METRIC, TENANT, Load
from programs import Narthex, Query, Router, series_key, workspace

# Acknowledged requests of each sender between two events, some tenths of a second.
REQUESTS_BETWEEN_EVENTS = 30
# Age of the first sample, ms: at this start, the newest one is not ahead of the clock.
AGE_MS = 3_600_000
SELECTOR = f'{{__name__="{METRIC}"}}'


class ScaleOut:
    """Some narthex, a router and Query."""

    def __init__(self, directory, num_narthexes, factor, num_routed=None):
        """The first `num_routed` narthex are in the hashring of the router, by default all."""
        self.begin = int(time.time() * 1000) - AGE_MS
        self.narthexes = [Narthex(directory, f"narthex-{i}") for i in range(num_narthexes)]
        routed = self.narthexes[:num_routed]
        arguments = command_lines.thanos("receive", "Write through a Thanos Receive router")
        self.router = Router(directory, arguments, routed, factor, self.begin)
        arguments = command_lines.thanos("query", "Scale out")
        self.query = Query(directory, arguments, [narthex.address for narthex in self.narthexes])
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for program in [*self.narthexes, self.router, self.query]:
                stack.enter_context(program)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def load(self):
        return Load(self.router, self.begin)

    def view(self, senders, **parameters):
        """Returns the samples that Query has of the load."""
        return self.query.samples(SELECTOR, self.begin, senders.end(), **parameters)

    def holders(self):
        """Returns the numbers of narthex that store a series of the load."""
        stored = [narthex.export(SELECTOR).keys() for narthex in self.narthexes]
        assert all(stored), "a narthex has no series"
        return {sum(key in keys for keys in stored) for key in set().union(*stored)}


def has_all(view, expected):
    return all(samples.items() <= view.get(key, {}).items() for key, samples in expected.items())


def wait_for_writes(narthex):
    """Waits until a narthex has appended a sample since its start."""
    name = "prometheus_tsdb_head_samples_appended_total"
    narthex.wait_until("writes", lambda: narthex.metric(name) > 0)


class ScaleOutTest(unittest.TestCase):
    def assert_view_is_acknowledged(self, scale_out, senders):
        """All acknowledged samples are in the view of Query, and nothing else is."""
        scale_out.query.wait_for_stores()
        view, expected = scale_out.view(senders), senders.acknowledged_samples()
        self.assertEqual(view.keys(), expected.keys())
        for key, samples in expected.items():
            differences = sorted(samples.items() ^ view[key].items())
            self.assertEqual(differences[:5], [], f"{key}: {len(differences)} differences")

    def test_kill_with_factor_1_loses_nothing(self):
        with workspace() as directory, ScaleOut(directory, 2, factor=1) as scale_out:
            with scale_out.load() as senders:
                for narthex in scale_out.narthexes:
                    senders.wait_for_acknowledgements(REQUESTS_BETWEEN_EVENTS)
                    senders.kill(narthex)
                    # Both narthex have series of each request.
                    senders.wait_for_rejections()
                    narthex.start()
                senders.wait_for_acknowledgements(REQUESTS_BETWEEN_EVENTS)
            self.assertEqual(senders.statuses().keys(), {200, 503})
            self.assert_view_is_acknowledged(scale_out, senders)
            self.assertEqual(scale_out.holders(), {1})

    def test_kill_with_factor_2_loses_nothing(self):
        with workspace() as directory, ScaleOut(directory, 2, factor=2) as scale_out:
            first, second = scale_out.narthexes
            with scale_out.load() as senders:
                senders.wait_for_acknowledgements(REQUESTS_BETWEEN_EVENTS)
                senders.kill(first)
                senders.wait_for_acknowledgements(REQUESTS_BETWEEN_EVENTS)
                acknowledged = senders.acknowledged_samples()
                wait_until(
                    "the view without a narthex",
                    lambda: has_all(scale_out.view(senders, partial=True), acknowledged),
                )
                first.start()
                wait_for_writes(first)
                senders.wait_for_acknowledgements(REQUESTS_BETWEEN_EVENTS)
                senders.kill(second)
                senders.wait_for_acknowledgements(REQUESTS_BETWEEN_EVENTS)
                second.start()
            self.assertEqual(senders.statuses().keys(), {200})
            self.assert_view_is_acknowledged(scale_out, senders)
            # The view merges copies that have gaps.
            acknowledged = senders.acknowledged_samples()
            copies = scale_out.view(senders, dedup=False)
            self.assertEqual(len(copies), 2 * len(acknowledged))
            for key, samples in copies.items():
                merged = acknowledged[tuple(pair for pair in key if pair[0] != "replica")]
                self.assertLess(len(samples), len(merged))

    def test_new_narthex_in_hashring_loses_nothing(self):
        with (
            workspace() as directory,
            ScaleOut(directory, 3, factor=1, num_routed=2) as scale_out,
        ):
            added = scale_out.narthexes[2]
            with scale_out.load() as senders:
                senders.wait_for_acknowledgements(REQUESTS_BETWEEN_EVENTS)
                scale_out.router.set_hashring(scale_out.narthexes)
                wait_for_writes(added)
                senders.wait_for_acknowledgements(REQUESTS_BETWEEN_EVENTS)
            self.assert_view_is_acknowledged(scale_out, senders)
            # Series that moved have old samples in one narthex and new ones in another.
            self.assertEqual(scale_out.holders(), {1, 2})

    def test_factor_3_needs_2_of_3_narthex(self):
        labels, expected = {"__name__": "quorum"}, {}
        with workspace() as directory, ScaleOut(directory, 3, factor=3) as scale_out:

            def write():
                """Returns the status of a write of one more sample; a retry repeats it."""
                t = scale_out.begin + 1000 * len(expected)
                series = remote_write.encode_series(labels, [(t, 1.0)])
                status, _ = scale_out.router.write([series], TENANT)
                if status == 200:
                    expected[t] = 1.0
                return status

            first, second, _ = scale_out.narthexes
            self.assertEqual(write(), 200)
            first.kill()
            self.assertEqual(write(), 200)
            second.kill()
            self.assertEqual(write(), 503)
            second.start()
            wait_until("a retry is acknowledged", lambda: write() == 200)
            first.start()
            scale_out.query.wait_for_stores()
            view = scale_out.query.samples("quorum", scale_out.begin, max(expected))
            key = series_key({**labels, "tenant_id": TENANT})
            self.assertEqual(view, {key: expected})


if __name__ == "__main__":
    unittest.main()
