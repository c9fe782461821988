"""Renders the chart with Helm and gives access to the objects by kind and name."""

import concurrent.futures
import copy
import functools
import json
import os
import pathlib
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "narthex"
GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
SCENARIOS = sorted(path.name[: -len("-values.yaml")] for path in CHART.glob("ci/*-values.yaml"))
HELMS = {"3": os.environ["HELM3"]} | (
    {"4": os.environ["HELM4"]} if os.environ.get("HELM4") else {}
)
NAME_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/instance")


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML loader that rejects duplicate keys, as server-side apply does."""


def _mapping(loader, node):
    found = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            raise yaml.constructor.ConstructorError(
                None, None, f"duplicate key {key!r}", key_node.start_mark
            )
        found[key] = loader.construct_object(value_node, deep=True)
    return found


StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load_all(text):
    """Returns the non-empty documents of a YAML text."""
    return [document for document in yaml.load_all(text, StrictLoader) if document]


class RenderError(Exception):
    """Helm rejected the values; the message is its error."""


class Rendered:
    """Objects of a render."""

    def __init__(self, text):
        self.text = text
        self.objects = load_all(text)

    def find(self, kind, name=None):
        """Returns the only object of a kind, or the one with this name."""
        found = [
            item
            for item in self.objects
            if item["kind"] == kind and name in (None, item["metadata"]["name"])
        ]
        if len(found) != 1:
            names = [item["metadata"]["name"] for item in found]
            raise LookupError(f"{len(found)} objects {kind} {name or ''} {names}")
        return found[0]

    def all(self, kind):
        """Returns all objects of a kind."""
        return [item for item in self.objects if item["kind"] == kind]

    @property
    def statefulset(self):
        return self.find("StatefulSet")

    @property
    def pod(self):
        """Spec of the pods of narthex."""
        return self.statefulset["spec"]["template"]["spec"]

    @property
    def container(self):
        """The container narthex."""
        return self.container_named("narthex")

    def container_named(self, name):
        return named(self.pod["containers"], name)

    @property
    def args(self):
        return self.container["args"]

    @property
    def config(self):
        """The configuration file, parsed."""
        name = self.container_volume("config")["configMap"]["name"]
        return yaml.safe_load(next(iter(self.find("ConfigMap", name)["data"].values())))

    def container_volume(self, name):
        return named(self.pod["volumes"], name)

    def flag(self, name):
        """Returns the value of a flag of narthex, `True` without a value, `None` if missing."""
        for arg in self.args:
            flag, _, value = arg.partition("=")
            if flag == name:
                return value if "=" in arg else True
        return None


def named(items, name):
    """Returns the item of a list with this name."""
    for item in items:
        if item["name"] == name:
            return item
    raise LookupError(name)


def merged(base, extra):
    """Returns `base` with the values of `extra` set, as Helm merges values files."""
    result = copy.deepcopy(base)
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def nested(path, value):
    """Returns the values in which only the dotted path is set."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def scenario(name):
    """Returns the values of a file in ci/."""
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())


@functools.cache
def _template(helm, chart, release, namespace, values, arguments):
    command = [HELMS[helm], "template", release, str(chart), "--namespace", namespace]
    command += ["--values", "-", *arguments]
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": f"{home}/none"}
        done = subprocess.run(command, input=values, capture_output=True, text=True, env=env)
    return done.returncode, done.stdout, done.stderr.strip()


def prepare(all_values, helms=HELMS):
    """Renders values in parallel, so that later calls return at once."""
    def run(helm, values):
        try:
            render_text(values, helm=helm)
        except RenderError:
            pass

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for values in all_values:
            for helm in helms:
                pool.submit(run, helm, values)


def render_text(values=None, helm="3", chart=CHART, release="narthex", arguments=()):
    """Returns what `helm template` prints."""
    text = json.dumps(values or {})
    status, output, error = _template(helm, chart, release, "monitoring", text, tuple(arguments))
    if status:
        raise RenderError(error)
    return output


def render(values=None, **options):
    """Renders the chart with these values."""
    return Rendered(render_text(values, **options))


def helm(command, helm="3", folder=None):
    """Runs another command of Helm, without a cluster, and returns the finished process."""
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": f"{home}/none"}
        return subprocess.run(
            [HELMS[helm], *command],
            cwd=folder,
            capture_output=True,
            text=True,
            env=env,
        )
