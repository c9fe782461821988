"""Upgrades from the committed renders in golden/ to the chart of today.

A release replaces golden/ by its own renders: tests/chart/run update_golden
"""

import pathlib
import shutil
import tempfile
import unittest

import chart

MUTABLE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}


def immutable_parts(rendered):
    """Returns the parts of objects that Kubernetes does not change, by kind and name."""
    parts = {}
    for item in rendered.objects:
        spec = item.get("spec", {})
        kind = item["kind"]
        if kind == "StatefulSet":
            part = {key: value for key, value in spec.items() if key not in MUTABLE}
        elif kind == "Deployment":
            part = spec["selector"]
        elif kind == "Service":
            part = {key: spec.get(key) for key in ("clusterIP", "clusterIPs")}
        elif kind == "PersistentVolumeClaim":
            part = spec
        elif kind in ("RoleBinding", "ClusterRoleBinding"):
            part = item["roleRef"]
        else:
            continue
        parts[kind, item["metadata"]["name"]] = part
    return parts


class Upgrade(unittest.TestCase):
    maxDiff = None

    def test_golden_renders_exist_for_all_scenarios(self):
        names = sorted(path.stem for path in chart.GOLDEN.glob("*.yaml"))
        self.assertEqual(names, chart.SCENARIOS)

    def golden(self, name):
        return chart.Rendered((chart.GOLDEN / f"{name}.yaml").read_text())

    def assert_upgradable(self, before, after):
        old, new = immutable_parts(before), immutable_parts(after)
        self.assertIn("StatefulSet", {kind for kind, _ in old})
        for key, part in old.items():
            self.assertIn(key, new, "an upgrade must not remove or rename it")
            self.assertEqual(part, new[key], key)

    def test_immutable_fields_do_not_change(self):
        for helm in chart.HELMS:
            for name in chart.SCENARIOS:
                with self.subTest(helm=helm, scenario=name):
                    today = chart.render(chart.scenario(name), helm=helm)
                    self.assert_upgradable(self.golden(name), today)

    def test_immutable_fields_ignore_labels_and_versions(self):
        other = {
            "commonLabels": {"team": "platform"},
            "commonAnnotations": {"note": "x"},
            "podLabels": {"tier": "storage"},
            "podAnnotations": {"note": "y"},
            "image": {"tag": "9.9.9"},
        }
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "narthex"
            shutil.copytree(chart.CHART, copy)
            about = (copy / "Chart.yaml").read_text()
            changed = about.replace("version: 0.1.0", "version: 7.7.7+build", 1)
            changed = changed.replace('appVersion: "0.1.0"', 'appVersion: "8.8.8"')
            self.assertNotEqual(about, changed)
            (copy / "Chart.yaml").write_text(changed)
            for name in chart.SCENARIOS:
                with self.subTest(scenario=name):
                    values = chart.merged(chart.scenario(name), other)
                    today = chart.render(values, chart=copy)
                    self.assertIn("7.7.7_build", today.text)
                    self.assert_upgradable(self.golden(name), today)

    def test_comparison_finds_an_immutable_change(self):
        before = chart.render()
        for values in (
            {"nameOverride": "other"},
            {"persistence": {"size": "60Gi"}},
            {"persistence": {"annotations": {"a": "b"}}},
        ):
            with self.assertRaises(AssertionError):
                self.assert_upgradable(before, chart.render(values))

    def test_changes_of_the_configuration_restart_nothing(self):
        before = chart.render().statefulset
        for values in (
            {"config": {"data": {"scrape_configs": [{"job_name": "a"}]}}},
            {"storage": {"retention": {"time": "90d"}}},
            {"storage": {"retention": {"percentage": 50}}},
            {"commonLabels": {"team": "platform"}},
            {"service": {"type": "LoadBalancer"}},
            {"networkPolicy": {"enabled": True}},
        ):
            with self.subTest(values=values):
                after = chart.render(values).statefulset
                self.assertEqual(before["spec"]["template"], after["spec"]["template"])

    def test_what_cannot_be_reloaded_restarts(self):
        base = {"web": {"config": {"existingSecret": "web"}}, "grpc": {"enabled": False}}
        before = chart.render(base).statefulset["spec"]["template"]
        for path, value in (
            ("web.http2", False),
            ("web.tls", True),
            ("web.rateLimit", {"interval": "1ms", "burst": 5}),
        ):
            with self.subTest(path=path):
                values = chart.merged(base, chart.nested(path, value))
                after = chart.render(values).statefulset["spec"]["template"]
                checksum = lambda t: t["metadata"]["annotations"]["checksum/restart"]
                self.assertNotEqual(checksum(before), checksum(after))
                self.assertRegex(checksum(after), "^[0-9a-f]{64}$")
        flags = chart.render({"storage": {"walSync": "always"}}).statefulset
        self.assertNotEqual(flags["spec"]["template"], chart.render().statefulset)

    def test_the_version_of_the_chart_restarts_nothing(self):
        text = str(chart.render().statefulset["spec"]["template"])
        self.assertNotIn("helm.sh/chart", text)
