"""Containers of the image: a default start, and scrapes over TLS with and without CAs."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from container import Container, wait_until
from layout import Image
from network import DnsServer, enable_loopback

TESTS = pathlib.Path(__file__).resolve().parents[1]
CERTIFICATES = TESTS / "golden" / "webconfig" / "files" / "certs"
URL = "http://127.0.0.1:9201"
DNS = "127.0.0.53"
SECRET = "Oa9cXz6first&Pl1"
TOKEN = "Tk1bVn8first1Rs"
NONE = "0000000000000000"

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
- job_name: ca-file
  scheme: https
  metrics_path: /bearer
  authorization: {{credentials_file: /etc/narthex/token}}
  tls_config: {{ca_file: /etc/narthex/ca.crt, server_name: localhost, {client}}}
  static_configs: [{{targets: ['target:{secure}']}}]
- job_name: oauth2
  scheme: https
  metrics_path: /page
  tls_config: {{ca_file: /etc/narthex/ca.crt, server_name: localhost}}
  oauth2:
    client_id: id
    client_secret_file: /etc/narthex/secret
    token_url: https://token.test:{oauth2}/token
    tls_config: {{ca_file: /etc/narthex/ca.crt, server_name: localhost}}
  static_configs: [{{targets: ['token.test:{oauth2}']}}]
- job_name: default-roots
  scheme: https
  metrics_path: /bearer
  authorization: {{credentials_file: /etc/narthex/token}}
  tls_config: {{server_name: localhost, {client}}}
  static_configs: [{{targets: ['target:{secure}']}}]
"""
CLIENT = "cert_file: /etc/narthex/client.crt, key_file: /etc/narthex/client.key"


def setUpModule():
    # The user of the image must be able to read what is unpacked.
    os.umask(0o022)
    enable_loopback()


def get(path):
    """Returns the body of a response with status 200, or None."""
    try:
        with urllib.request.urlopen(URL + path, timeout=10) as response:
            return response.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return None


def scrape_error(job):
    """Returns the error of the last scrape of a job, empty after a success; None before it."""
    targets = json.loads(get("/api/v1/targets?state=active"))["data"]["activeTargets"]
    errors = [
        target["lastError"]
        for target in targets
        if target["labels"]["job"] == job and target["health"] != "unknown"
    ]
    return errors[0] if errors else None


class ContainerTest(unittest.TestCase):
    """Each test unpacks the image and has an empty volume."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name)
        # The user of the image must be able to enter it.
        self.path.chmod(0o755)
        self.image = Image(os.environ["IMAGE_LAYOUT"])
        self.root = self.path / "root"
        self.root.mkdir()
        self.image.unpack(self.root)
        # Container engines give a new volume the owner of the directory of the image.
        owner = (self.root / "data").stat()
        self.volume = self.path / "volume"
        self.volume.mkdir()
        os.chown(self.volume, owner.st_uid, owner.st_gid)

    def container(self, mounts=None):
        return Container(self.root, self.image.config, {"/data": self.volume, **(mounts or {})})

    def start(self, container, arguments=None):
        running = self.enterContext(container.start(self.path / "log", arguments))
        wait_until("ready", lambda: get("/-/ready"))
        return running


class DefaultStartTest(ContainerTest):
    """The image with its own arguments."""

    def test_default_start_has_no_privileges(self):
        running = self.start(self.container())
        status = running.status()
        self.assertEqual(status["Uid"], ["65534"] * 4)
        self.assertEqual(status["Gid"], ["65534"] * 4)
        self.assertEqual(status["Groups"], [])
        self.assertEqual(status["NSpid"][-1], "1")
        for capabilities in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"):
            self.assertEqual(status[capabilities], [NONE], capabilities)
        self.assertIn("ro", running.mount_options("/"))
        self.assertIn("rw", running.mount_options("/data"))

    def test_sample_is_stored_and_survives_a_restart(self):
        container = self.container()
        running = self.start(container)
        for check in ("healthy", "ready", "roundtrip"):
            result = container.run("check", check, f"--url={URL}")
            self.assertEqual(result.returncode, 0, result)
        export = "/api/v1/export?match[]=narthex_round_trip"
        written = get(export)
        self.assertRegex(written, r'"values":\[42.125\]')
        self.assertEqual(running.stop(), 0, running.log())

        result = container.run("check", "ready", f"--url={URL}", "--timeout=2s")
        self.assertEqual(result.returncode, 2, result)
        self.start(container)
        self.assertEqual(get(export), written)


class TlsTest(ContainerTest):
    """Scrapes of targets that are found by name, with files that are mounted."""

    def setUp(self):
        super().setUp()
        self.files = self.path / "files"
        self.files.mkdir()
        for name in ("ca.crt", "server.crt", "server.key", "client.crt", "client.key"):
            shutil.copy(CERTIFICATES / name, self.files)
            (self.files / name).chmod(0o644)
        for name, text in {
            "token": TOKEN,
            "secret": SECRET,
            "client": f"id:{SECRET}",
            "generation": "1",
        }.items():
            (self.files / name).write_text(text)
        secure = self.start_target("secure_target.py", self.files)
        certificate = [self.files / "server.crt", self.files / "server.key"]
        oauth2 = self.start_target("token_endpoint.py", self.files / "client", 60, *certificate)
        config = CONFIG.format(client=CLIENT, secure=secure, oauth2=oauth2)
        (self.files / "narthex.yml").write_text(config)
        # The DNS server does not know token.test, and /etc/hosts does not know the other name.
        self.write("hosts", "127.0.0.1 localhost\n127.0.0.1 token.test\n")
        self.write("resolv.conf", f"nameserver {DNS}\nsearch cluster.test\noptions timeout:2\n")
        self.mounts = {
            "/etc/narthex": self.files,
            "/etc/hosts": self.path / "hosts",
            "/etc/resolv.conf": self.path / "resolv.conf",
        }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dns = DnsServer(DNS, {"target.cluster.test": "127.0.0.9"})

    def write(self, name, text):
        (self.path / name).write_text(text)

    def start_target(self, program, *arguments):
        """Starts a program of tests/clients until the end of the test. Returns its port."""
        command = [sys.executable, "-B", TESTS / "clients" / program, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return json.loads(process.stdout.readline())["port"]

    def start_scraping(self, **mounts):
        """Starts narthex with the configuration; the names of mounts are paths below /etc."""
        container = self.container(self.mounts | mounts)
        arguments = self.image.config["Cmd"] + ["--config.file=/etc/narthex/narthex.yml"]
        running = self.start(container, arguments)
        for job in ("ca-file", "oauth2"):
            wait_until(f"successful scrape of {job}", lambda job=job: scrape_error(job) == "")
        return running

    def loaded(self, running):
        """Returns origin and number of the CAs that the log names."""
        line = r'msg="loaded CA certificates" origin=(\S+) count=(\d+)'
        origin, count = re.search(line, running.log()).groups()
        return origin, int(count)

    def test_without_cas_of_the_system_the_built_in_ones_are_used(self):
        running = self.start_scraping()
        error = wait_until("failed scrape", lambda: scrape_error("default-roots"))
        self.assertIn("x509: certificate signed by unknown authority", error)
        origin, count = self.loaded(running)
        self.assertEqual(origin, "built-in")
        self.assertGreater(count, 100)
        self.assertIn("target.cluster.test", self.dns.asked)

    def test_mounted_cas_of_the_system_are_used(self):
        bundle = {"/etc/ssl/certs/ca-certificates.crt": CERTIFICATES / "ca.crt"}
        running = self.start_scraping(**bundle)
        wait_until("successful scrape", lambda: scrape_error("default-roots") == "")
        self.assertEqual(self.loaded(running), ("system", 1))


if __name__ == "__main__":
    unittest.main()
