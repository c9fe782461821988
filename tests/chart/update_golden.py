"""Writes the renders of all scenarios to golden/. Its only test is the writing."""

import unittest

import chart


class UpdateGolden(unittest.TestCase):
    def test_write(self):
        chart.GOLDEN.mkdir(exist_ok=True)
        for name in chart.SCENARIOS:
            text = chart.render_text(chart.scenario(name))
            (chart.GOLDEN / f"{name}.yaml").write_text(text)
