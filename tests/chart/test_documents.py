"""docs/chart.md, the README of the chart and the runbook: commands, values, links, headings."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

import chart
import test_values
from pod import credentials
from pod.kubelet import BINARY

GUIDE = chart.ROOT / "docs/chart.md"
README = chart.CHART / "README.md"
# Prints the arguments of helm and kubectl as JSON instead of running these.
RECORDER = """
record() { "$0" -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@"; }
helm() { record helm "$@"; }
kubectl() { record kubectl "$@"; }
"""


def blocks(page):
    """Returns the texts of the code blocks of a page."""
    return re.findall(r"(?ms)^```(?:text|sh)\n(.*?)^```", page.read_text())


def commands(page):
    """Returns the arguments of the commands of a page, as a shell passes them."""
    found = []
    for block in blocks(page):
        if re.search("(?m)^(helm|kubectl) ", block):
            shell = ["sh", "-euc", RECORDER + block, sys.executable]
            done = subprocess.run(shell, capture_output=True, text=True, check=True)
            found += map(json.loads, done.stdout.splitlines())
    return found


def alerts():
    rules = yaml.safe_load((chart.CHART / "files/rules.yaml").read_text())
    names = [rule.get("alert") for group in rules["groups"] for rule in group["rules"]]
    return list(filter(None, names))


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Creates a directory with the chart, and with the first values of the guide."""
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "helm").symlink_to(chart.ROOT / "helm")
        (cls.folder / "values.yaml").write_text(
            next(block for block in blocks(GUIDE) if block.startswith("image:")))

    def helm_commands(self):
        for page in (GUIDE, README):
            found = [arguments for program, *arguments in commands(page) if program == "helm"]
            self.assertGreater(len(found), 1, page)
            for arguments in found:
                for helm in chart.HELMS:
                    with self.subTest(page=page.name, arguments=arguments, helm=helm):
                        yield helm, arguments

    def test_helm_accepts_the_commands(self):
        for helm, arguments in self.helm_commands():
            done = chart.helm(arguments, helm=helm, folder=self.folder)
            # The flags are valid, so that only the cluster is missing.
            self.assertRegex(done.stderr, "[Kk]ubernetes cluster unreachable")

    def test_commands_render_the_chart(self):
        rendered = 0
        for helm, (command, *arguments) in self.helm_commands():
            if command in ("install", "upgrade"):
                # There is no release whose values could be used.
                arguments = [item for item in arguments if item != "--reuse-values"]
                done = chart.helm(["template", *arguments], helm=helm, folder=self.folder)
                self.assertEqual(done.returncode, 0, done.stderr)
                release = chart.Rendered(done.stdout)
                self.assertEqual(release.statefulset["metadata"]["name"], "narthex")
                self.assertEqual(release.statefulset["metadata"]["namespace"], "monitoring")
                if command == "install":
                    self.assertTrue(release.container["image"].startswith("registry.example.com/"))
                rendered += 1
            else:
                self.assertEqual(command, "test")
        self.assertGreaterEqual(rendered, 3)

    def test_manual_resize_does_what_the_hook_does(self):
        found = [arguments for program, *arguments in commands(README) if program == "kubectl"]
        patch, delete = found
        values = {"persistence": {
            "size": "200Gi", "resizeJob": {"enabled": True, "image": "example/kubectl:1"}}}
        spec = chart.render(values).find("Job")["spec"]["template"]["spec"]
        claim, = spec["initContainers"]
        statefulset, = spec["containers"]
        words = [item for item in claim["args"] if not item.startswith("--")]
        self.assertEqual(patch[:3], words)
        text = claim["args"][-1].removeprefix("--patch=")
        self.assertEqual(json.loads(patch[patch.index("--patch") + 1]), json.loads(text))
        words = [item for item in statefulset["args"] if not item.startswith("--")]
        self.assertEqual(delete[:3], words)
        self.assertIn("--cascade=orphan", delete)
        self.assertIn("--cascade=orphan", statefulset["args"])


class Values(unittest.TestCase):
    def setUp(self):
        generate = test_values.load_generate()
        self.known = set(generate.comments((chart.CHART / "values.yaml").read_text()))
        self.sections = {path.partition(".")[0] for path in self.known}

    def guide_values(self):
        """Returns the blocks of values in the guide."""
        # A block of commands is a string.
        found = [yaml.safe_load(block) for block in blocks(GUIDE)]
        found = [item for item in found if isinstance(item, dict)]
        return [item for item in found if item.keys() <= self.sections]

    def test_named_values_exist(self):
        named = re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)`", GUIDE.read_text())
        named = {name for name in named if name.partition(".")[0] in self.sections}
        self.assertGreater(len(named), 30)
        # A file, a key of a free map, and a key of narthex.yml.
        other = {"web.yml", "resources.limits.memory", "storage.tsdb.retention"}
        self.assertEqual(named - self.known, other)

    def test_blocks_of_values_render(self):
        found = self.guide_values()
        self.assertEqual(len(found), 6)
        for values in found:
            for helm in chart.HELMS:
                with self.subTest(values=values, helm=helm):
                    self.assertTrue(chart.render(values, helm=helm).statefulset)

    def test_configuration_files_are_valid(self):
        all_values = [chart.scenario(name) for name in chart.SCENARIOS] + self.guide_values()
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, values in enumerate(all_values):
                files.append(pathlib.Path(folder) / f"{number}.yml")
                files[-1].write_text(yaml.safe_dump(chart.render(values).config))
            command = [BINARY, "check", "config", *files]
            done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("SUCCESS"), len(all_values))

    def test_web_configuration_file_is_that_of_the_tls_story(self):
        block, = [block for block in blocks(GUIDE) if block.startswith("tls_server_config:")]
        story = credentials.web_file(tls=True)
        self.assertEqual(yaml.safe_load(block), yaml.safe_load(story))


class Pages(unittest.TestCase):
    def test_generated_parts_are_current(self):
        command = [sys.executable, str(chart.ROOT / "helm/generate"), "--check"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_links_resolve(self):
        for page in (README, GUIDE):
            for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve()
                with self.subTest(page=page.name, link=link):
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(target))

    def test_each_alert_has_a_section_of_the_runbook(self):
        """The annotation `runbook_url` has the name of the alert as its anchor."""
        runbook = (chart.ROOT / "docs/runbook.md").read_text()
        found = re.findall(r"(?m)^#+ (Narthex[A-Z]\w*)$", runbook)
        self.assertEqual(sorted(found), sorted(alerts()))

    def test_runbook_urls_have_these_anchors(self):
        rendered = chart.render(chart.scenario("monitoring"))
        groups = rendered.find("PrometheusRule")["spec"]["groups"]
        for rule in [rule for group in groups for rule in group["rules"] if "alert" in rule]:
            url = f"https://runbooks.example.com/narthex#{rule['alert'].lower()}"
            self.assertEqual(rule["annotations"]["runbook_url"], url)


def anchors(page):
    """Returns the anchors of the headings of a page."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    texts = [re.sub("[^a-z0-9 _-]", "", heading.lower()) for heading in headings]
    return [text.replace(" ", "-") for text in texts]
