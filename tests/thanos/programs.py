"""Processes of narthex and Thanos.

Each process is a context manager that kills its process at the end. Its output is appended to a
file in the directory of the test.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import remote_write
from command_lines import flags, with_values
from http_calls import call, free_port, get, is_ready, wait_until, with_query

NARTHEX = os.environ["NARTHEX"]
THANOS = os.environ["THANOS"]
MAX_LOG_CHARACTERS = 3000


@contextlib.contextmanager
def workspace():
    """Yields a temporary directory. Prints the logs in it if an exception passes."""
    with tempfile.TemporaryDirectory(prefix="narthex-thanos-") as path:
        directory = pathlib.Path(path)
        try:
            yield directory
        except BaseException:
            print_logs(directory)
            raise


def print_logs(directory):
    """Prints the end of each log of a workspace."""
    for log in sorted(directory.glob("*.log")):
        text = log.read_text(errors="replace")[-MAX_LOG_CHARACTERS:]
        print(f"--- {log.name}", text, sep="\n", file=sys.stderr)


class SharedProgramsTest(unittest.TestCase):
    """Tests on programs of the class, with logs in `directory`, which a failed test prints."""

    def run(self, result=None):
        num_failed = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > num_failed:
            print_logs(self.directory)


class Program:
    """A process that can be killed and started again with the same command line."""

    def __init__(self, directory, name, command, environment=None):
        self.name = name
        self.log = directory / f"{name}.log"
        self.command = command
        self.environment = {**os.environ, **(environment or {})}
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def spawn(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )

    def wait_until(self, description, condition):
        """Waits for a condition, and fails at once if the process exits."""

        def checked():
            code = self.process.poll()
            assert code is None, f"{self.name} exited with code {code}"
            return condition()

        wait_until(f"{self.name}: {description}", checked)

    def start(self):
        raise NotImplementedError

    def kill(self):
        """Sends SIGKILL and waits for the end of the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Narthex(Program):
    """narthex with its name as the external label `replica`, as the chart sets it."""

    def __init__(self, directory, name, labels=None, arguments=("serve",), values=None):
        """`labels` are more external labels, `values` more flags."""
        self.port = free_port()
        self.data = directory / name / "data"
        self.data.parent.mkdir(exist_ok=True)
        config = directory / f"{name}.yml"
        labels = {**(labels or {}), "replica": "${POD_NAME}"}
        config.write_text(json.dumps({"global": {"external_labels": labels}}))
        values = {
            "--storage.tsdb.path": str(self.data),
            "--config.file": str(config),
            "--web.listen-address": self.address,
            **(values or {}),
        }
        command = [NARTHEX, *with_values(arguments, values)]
        super().__init__(directory, name, command, {"POD_NAME": name})

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.spawn()
        self.wait_until("ready", lambda: is_ready(self.port))

    def metric(self, name, **labels):
        """Returns the sum of the values of a metric in `/metrics` with these labels."""
        _, text = call(self.port, "/metrics")
        pairs = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0
        for line in text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == name and all(pair in series for pair in pairs):
                total += float(value)
        return total

    def export(self, selector, **parameters):
        """Returns the stored samples as {label pairs: {t: value}}; the value of a native histogram
        is None. External labels are not stored.
        """
        parameters["match[]"] = selector
        status, text = call(self.port, with_query("/api/v1/export", parameters))
        assert status == 200, text
        found = {}
        for line in map(json.loads, text.splitlines()):
            samples = found.setdefault(series_key(line["metric"]), {})
            samples.update(zip(line["timestamps"], line["values"]))
            samples.update(dict.fromkeys(line.get("histogram_timestamps", [])))
        return found


class Thanos(Program):
    """Component of Thanos, with its own HTTP and gRPC addresses."""

    def __init__(self, directory, name, arguments, values, extra=None):
        """The arguments must have the flags of `values`; those of `extra` are added."""
        self.http_port, self.grpc_port = free_port(), free_port()
        values = {
            "--http-address": f"127.0.0.1:{self.http_port}",
            "--grpc-address": f"127.0.0.1:{self.grpc_port}",
            **values,
        }
        missing = values.keys() - flags(arguments)
        assert not missing, f"{arguments} have no {missing}"
        command = [THANOS, *with_values(arguments, values | (extra or {}))]
        super().__init__(directory, name, command)

    def start(self):
        self.spawn()
        self.wait_until("ready", lambda: is_ready(self.http_port))


class Router(Thanos):
    """Receive router in front of some narthex."""

    def __init__(self, directory, arguments, narthexes, factor, first_t):
        """`first_t` is the timestamp of the sample that shows that the router forwards."""
        self.port = free_port()
        self.first_t = first_t
        self.hashring = directory / "hashring.json"
        self.set_hashring(narthexes)
        values = {
            "--receive.hashrings-file": str(self.hashring),
            "--receive.replication-factor": str(factor),
            "--remote-write.address": f"127.0.0.1:{self.port}",
            "--tsdb.path": str(directory / "unused"),
        }
        super().__init__(directory, "router", arguments, values, {"--log.level": "debug"})

    def set_hashring(self, narthexes):
        """Writes the hashring. A running router sees a write at once, and a new file only at its
        next refresh.
        """
        endpoints = [narthex.address for narthex in narthexes]
        self.hashring.write_text(json.dumps([{"endpoints": endpoints}]))

    def start(self):
        super().start()
        probe = remote_write.encode_series({"__name__": "router_probe"}, [(self.first_t, 1.0)])
        self.wait_until("forwards", lambda: self.write([probe], "probe")[0] == 200)

    def write(self, series, tenant):
        """Sends encoded series. Returns status and text of the response."""
        body = remote_write.compress(b"".join(series))
        return self.post(body, tenant)

    def post(self, body, tenant):
        headers = {**remote_write.HEADERS, "THANOS-TENANT": tenant}
        return call(self.port, "/api/v1/receive", "POST", body, headers)


class Query(Thanos):
    """Query over stores."""

    def __init__(self, directory, arguments, stores):
        """`stores` are the gRPC addresses."""
        self.num_stores = len(stores)
        super().__init__(directory, "query", arguments, {"--endpoint": stores})

    def start(self):
        super().start()
        self.wait_for_stores()

    def wait_for_stores(self):
        """Waits until Query has no error of any store."""

        def has_all():
            stores = self.stores()
            healthy = [store for store in stores if store["lastError"] is None]
            return len(healthy) == len(stores) == self.num_stores

        self.wait_until(f"{self.num_stores} healthy stores", has_all)

    def stores(self):
        by_type = get(self.http_port, "/api/v1/stores")
        return [store for stores in by_type.values() for store in stores]

    def samples(self, selector, begin, end, dedup=True, partial=False):
        """Returns the samples from `begin` to `end`, both inclusive and in ms, as
        {label pairs: {t: value}}; the value of a native histogram is a dict. Fails on a series or
        a timestamp that occurs twice. With `partial`, stores may be missing.
        """
        data = get(
            self.http_port,
            "/api/v1/query",
            allow_warnings=partial,
            query=f"{selector}[{end - begin + 1}ms]",
            time=f"{end / 1000:.3f}",
            dedup=str(dedup).lower(),
            partial_response=str(partial).lower(),
        )
        found = {}
        for series in data["result"]:
            key = series_key(series["metric"])
            assert key not in found, f"{key} is there twice"
            found[key] = samples_by_time(series)
        return found


class Sidecar(Thanos):
    """Sidecar of a narthex, with a directory as object store."""

    def __init__(self, directory, arguments, narthex, extra):
        self.bucket = directory / "bucket"
        self.bucket.mkdir()
        config = directory / "bucket.yml"
        config.write_text(
            json.dumps({"type": "FILESYSTEM", "config": {"directory": str(self.bucket)}})
        )
        values = {
            "--tsdb.path": str(narthex.data),
            "--prometheus.url": f"http://{narthex.address}",
            "--objstore.config-file": str(config),
        }
        super().__init__(directory, "sidecar", arguments, values, extra)


def series_key(labels):
    return tuple(sorted(labels.items()))


def samples_by_time(series):
    """Returns {t: value} of a series of a query response."""
    floats = {to_ms(seconds): float(value) for seconds, value in series.get("values", [])}
    histograms = {to_ms(seconds): value for seconds, value in series.get("histograms", [])}
    count = len(series.get("values", [])) + len(series.get("histograms", []))
    samples = floats | histograms
    assert len(samples) == count, f"{series['metric']} has a timestamp twice"
    return samples


def to_ms(seconds):
    return round(seconds * 1000)
