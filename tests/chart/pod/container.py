"""Runs a command in a container: the part of a container runtime that the tests need.

The argument is a JSON object, see `Container` in kubelet.py. Start it as root in mount, PID, IPC
and UTS namespaces of its own. The command replaces this process, and so is PID 1.
"""

import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

DEVICES = ("null", "zero", "full", "random", "urandom")
PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def bind(source, target, read_only):
    """Mounts a file or directory of this machine."""
    if os.path.isdir(source):
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount("--bind", "--options", "ro" if read_only else "rw", source, target)


def build_root(spec):
    """Builds the root file system: it has the files and mounts of `spec`, and nothing else."""
    root = pathlib.Path(spec["root"])
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", root)
    for path, text in spec["files"].items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "proc").mkdir()
    mount("-t", "proc", "proc", root / "proc")
    for device in DEVICES:
        bind(f"/dev/{device}", root / "dev" / device, read_only=False)
    for item in spec["mounts"]:
        target = root / item["target"].lstrip("/")
        if "memory" in item:
            target.mkdir(parents=True)
            mount("-t", "tmpfs", "-o", f"size={item['memory']},mode=2777", "tmpfs", target)
        else:
            bind(item["source"], target, item["read_only"])
    if spec["read_only_root"]:
        mount("-o", "remount,ro", root)
    return root


def confine(spec, root):
    """Enters the root, and gives up all privileges."""
    libc = ctypes.CDLL(None, use_errno=True)
    capability = 0
    # The first number that is no capability is an error.
    while libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    os.chroot(root)
    os.chdir("/")
    os.setgroups(spec["groups"])
    os.setresgid(*[spec["gid"]] * 3)
    os.setresuid(*[spec["uid"]] * 3)
    # The change of the user reset the signal that `unshare --kill-child` had set.
    for option, value in ((PR_SET_PDEATHSIG, signal.SIGKILL), (PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl {option}")


def main():
    spec = json.loads(sys.argv[1])
    root = build_root(spec)
    socket.sethostname(spec["hostname"])
    confine(spec, root)
    os.execve(spec["command"][0], spec["command"], spec["environment"])


if __name__ == "__main__":
    main()
