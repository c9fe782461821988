"""Containers of an image, run by bubblewrap.

As with a container engine, the process is number 1 of its PID namespace and sees only the files of
the image and the mounts. It has the user of the image, no capabilities and a read-only root file
system. The network is that of the test.
"""

import json
import os
import pathlib
import signal
import subprocess
import time

# Maximum duration of a start or an end, in seconds.
DEADLINE = 60


def wait_until(what, condition):
    """Waits until the condition has a true value, which it returns."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not in time: {what}")
        time.sleep(0.05)
    return value


class Container:
    """Options of containers of an unpacked image.

    `mounts` has the directory or file of the host for each path in the container. Only paths of
    `volumes` are writable.
    """

    def __init__(self, root, config, mounts):
        self._root = pathlib.Path(root)
        self._config = config
        self._mounts = mounts
        for path, source in {"/proc": "/", "/dev": "/", **mounts}.items():
            self._create_mount_point(path, pathlib.Path(source).is_dir())

    def _create_mount_point(self, path, is_dir):
        """Creates the directory or file, as container engines do."""
        target = self._root / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_dir:
            target.mkdir(exist_ok=True)
        else:
            target.touch()

    def command(self, arguments, options=()):
        """Returns the command that runs the entry point of the image with these arguments."""
        uid, gid = self._config["User"].split(":")
        command = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "bwrap"]
        command += ["--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"]
        command += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
        for variable in self._config["Env"]:
            command += ["--setenv", *variable.split("=", 1)]
        command += ["--ro-bind", str(self._root), "/", "--proc", "/proc", "--dev", "/dev"]
        for path, source in self._mounts.items():
            writable = path in self._config["Volumes"]
            command += ["--bind" if writable else "--ro-bind", str(source), path]
        command += ["--chdir", self._config["WorkingDir"], *options, "--"]
        return command + self._config["Entrypoint"] + list(arguments)

    def run(self, *arguments):
        """Runs the image to its end. Returns the completed process with its output as text."""
        return subprocess.run(
            self.command(arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def start(self, log, arguments=None):
        """Starts the image, without arguments with its own; output is written to the file `log`."""
        return Running(self, log, self._config["Cmd"] if arguments is None else arguments)


class Running:
    """Running container; `pid` is that of its first process."""

    def __init__(self, container, log, arguments):
        self._log = pathlib.Path(log)
        info, writer = os.pipe()
        command = container.command(arguments, ["--info-fd", str(writer)])
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[writer],
            )
        os.close(writer)
        with open(info, encoding="utf-8") as reader:
            text = reader.read()
        if not text:
            raise AssertionError(f"the container did not start: {self.log()}")
        self.pid = json.loads(text)["child-pid"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def log(self):
        """Returns the output until now."""
        return self._log.read_text()

    def status(self):
        """Returns the fields of /proc/PID/status."""
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}

    def mount_options(self, path):
        """Returns the options of the mount at a path in the container."""
        lines = pathlib.Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()
        found = [line.split()[5].split(",") for line in lines if line.split()[4] == path]
        return found[-1]

    def stop(self):
        """Sends SIGTERM, as container engines do. Returns the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self._process.wait(DEADLINE)
