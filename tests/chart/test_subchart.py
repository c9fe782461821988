"""The chart as a subchart: condition, alias and values of `global`."""

import pathlib
import tempfile
import unittest

import chart

PARENT = """\
apiVersion: v2
name: platform
version: 1.0.0
dependencies:
  - name: narthex
    version: "*"
    repository: ""
    condition: {name}.enabled
{alias}"""


class Subchart(unittest.TestCase):
    def parent(self, folder, name="narthex"):
        root = pathlib.Path(folder) / "platform"
        (root / "charts").mkdir(parents=True)
        alias = "" if name == "narthex" else f"    alias: {name}\n"
        (root / "Chart.yaml").write_text(PARENT.format(name=name, alias=alias))
        (root / "charts" / "narthex").symlink_to(chart.CHART)
        return root

    def render(self, values, name="narthex", helm="3"):
        with tempfile.TemporaryDirectory() as folder:
            root = self.parent(folder, name)
            return chart.render(values, chart=root, release="prod", helm=helm)

    def test_renders_with_global_values_of_other_charts(self):
        values = {
            "global": {
                "imageRegistry": "registry.example.com/mirror",
                "imagePullSecrets": ["mirror", {"name": "other"}],
                "storageClass": "fast",
                "nested": {"anything": [1]},
            },
            "narthex": {"enabled": True, "imagePullSecrets": ["mirror"]},
        }
        for helm in chart.HELMS:
            with self.subTest(helm=helm):
                rendered = self.render(values, helm=helm)
                image = rendered.container["image"]
                self.assertEqual(image, "registry.example.com/mirror/narthex:0.1.0")
                secrets = [{"name": "mirror"}, {"name": "other"}]
                self.assertEqual(rendered.pod["imagePullSecrets"], secrets)
                self.assertEqual(rendered.statefulset["metadata"]["name"], "prod-narthex")

    def test_condition_disables_it(self):
        for helm in chart.HELMS:
            rendered = self.render({"narthex": {"enabled": False}}, helm=helm)
            self.assertEqual(rendered.objects, [])

    def test_alias_names_it(self):
        values = {"store": {"enabled": True, "persistence": {"size": "7Gi"}}}
        for helm in chart.HELMS:
            rendered = self.render(values, name="store", helm=helm)
            self.assertEqual(rendered.statefulset["metadata"]["name"], "prod-store")
            self.assertIn("7Gi", rendered.text)

    def test_unknown_values_are_errors_in_a_subchart(self):
        with self.assertRaisesRegex(chart.RenderError, "persistance"):
            self.render({"narthex": {"persistance": {}}})
