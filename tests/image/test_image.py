"""Files and configuration of the image."""

import datetime
import os
import pathlib
import re
import stat
import struct
import subprocess
import tempfile
import unittest

from layout import Image

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Goal of the size of all files, in bytes.
MAX_SIZE = 30_000_000
NOBODY = 65534
# Type of a program header that names the dynamic loader.
PT_INTERP = 3


def git(*arguments):
    """Returns the output of git."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def tool(*command):
    """Returns the output of a program."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def program_header_types(path):
    """Returns the types of the program headers of a 64-bit little-endian ELF file."""
    data = pathlib.Path(path).read_bytes()
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return [struct.unpack_from("<I", data, offset + size * index)[0] for index in range(count)]


class ImageTest(unittest.TestCase):
    """The image as the registry has it."""

    @classmethod
    def setUpClass(cls):
        cls.image = Image(os.environ["IMAGE_LAYOUT"])
        cls.root = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.root.cleanup)
        cls.image.unpack(cls.root.name)
        cls.binary = f"{cls.root.name}/bin/narthex"
        cls.commit_time = int(git("log", "-1", "--format=%ct"))
        cls.debug = os.environ["IMAGE_DEBUG"]

    def test_configuration_is_that_of_a_server(self):
        config = self.image.config
        self.assertEqual(config["User"], f"{NOBODY}:{NOBODY}")
        self.assertEqual(config["Entrypoint"], ["/bin/narthex"])
        self.assertEqual(config["Cmd"], ["serve", "--storage.tsdb.path=/data"])
        self.assertEqual(list(config["ExposedPorts"]), ["9201/tcp"])
        self.assertEqual(list(config["Volumes"]), ["/data"])

    def test_labels_name_version_and_commit(self):
        labels = self.image.config["Labels"]
        prefix = "org.opencontainers.image."
        created = datetime.datetime.fromtimestamp(self.commit_time, datetime.UTC)
        manifest = (REPOSITORY / "Cargo.toml").read_text()
        self.assertEqual(
            {name.removeprefix(prefix): value for name, value in labels.items()},
            {
                "title": "narthex",
                "description": "Storage backend for Prometheus",
                "licenses": re.search(r'^license = "(.*)"', manifest, re.M).group(1),
                "version": re.search(r'^version = "(.*)"', manifest, re.M).group(1),
                "revision": git("rev-parse", "HEAD"),
                "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
        )

    def test_version_of_the_binary_is_that_of_the_labels(self):
        labels = self.image.config["Labels"]
        output = tool(self.binary, "--version")
        self.assertIn(labels["org.opencontainers.image.version"], output)
        self.assertIn(labels["org.opencontainers.image.revision"][:12], output)

    def test_files_are_few_and_small(self):
        files = self.image.files()
        # The mode has the type of the file in it, too.
        found = {
            path: (oct(stat.S_IMODE(file.mode)), file.uid, file.gid)
            for path, file in files.items()
        }
        self.assertEqual(
            found,
            {
                "bin": ("0o755", 0, 0),
                "bin/narthex": ("0o755", 0, 0),
                "data": ("0o755", NOBODY, NOBODY),
                "etc": ("0o755", 0, 0),
                "etc/group": ("0o644", 0, 0),
                "etc/passwd": ("0o644", 0, 0),
            },
        )
        size = sum(file.size for file in files.values())
        print(f"{self.image.digest}: {size} bytes unpacked", flush=True)
        self.assertLessEqual(size, MAX_SIZE)

    def test_times_are_that_of_the_commit(self):
        times = {file.mtime for file in self.image.files().values()}
        self.assertEqual(times, {self.commit_time})

    def test_user_has_a_name(self):
        passwd = pathlib.Path(self.root.name, "etc/passwd").read_text()
        group = pathlib.Path(self.root.name, "etc/group").read_text()
        self.assertIn(f"nobody:x:{NOBODY}:{NOBODY}:", passwd)
        self.assertIn(f"nobody:x:{NOBODY}:", group)

    def test_binary_is_static_and_stripped(self):
        self.assertNotIn(PT_INTERP, program_header_types(self.binary))
        self.assertNotIn("NEEDED", tool("readelf", "--dynamic", "--wide", self.binary))
        sections = tool("readelf", "--section-headers", "--wide", self.binary)
        self.assertIn(".gnu_debuglink", sections)
        for section in (".symtab", ".debug_info", ".debug_line"):
            self.assertNotIn(section, sections)

    def test_debug_symbols_are_those_of_the_binary(self):
        build_ids = {
            re.search("Build ID: (.*)", tool("readelf", "--notes", path)).group(1)
            for path in (self.binary, self.debug)
        }
        self.assertEqual(len(build_ids), 1)
        symbols = tool("nm", "--demangle", self.debug).splitlines()
        main = next(line.split()[0] for line in symbols if line.endswith(" narthex::main"))
        found = tool("addr2line", "--functions", "--demangle", "-e", self.debug, main)
        self.assertRegex(found, r"(?s)narthex::main.*/narthex/src/main.rs:[0-9]+")


if __name__ == "__main__":
    unittest.main()
