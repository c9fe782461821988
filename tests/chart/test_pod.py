"""The pods of the scenarios run with the real narthex: probes, helm test, reloads, full disk, end.

The environment variable NARTHEX names a narthex with fail points (feature `testing`). These tests
need root, as a container runtime does.
"""

import unittest

from pod import stories


class Pods(unittest.TestCase):
    def test_every_scenario_of_the_issue_has_a_story(self):
        wanted = "default tls users client-certificates route-prefix kubernetes-discovery thanos"
        found = {story.scenario for story in stories.STORIES.values()}
        self.assertLessEqual(set(wanted.split()), found)


def end_of(name):
    """Returns a test that waits for the end of a story."""
    def test(self):
        stories.start_all()[name].result()
    return test


for name in stories.STORIES:
    setattr(Pods, f"test_{name.replace('-', '_')}", end_of(name))
