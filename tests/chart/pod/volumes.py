"""Files of ConfigMaps, Secrets and tokens, as the kubelet writes them to a volume."""

import os
import shutil
import time


class AtomicVolume:
    """Directory whose files change all at once.

    Each file is a link to `..data/NAME`. `..data` is a link to the directory of a version, and is
    replaced by a rename.
    """

    def __init__(self, path, files, mode, group):
        """Creates the volume. Files have the mode, and are readable for the group if it is set."""
        self.path = path
        self.mode = mode
        self.group = group
        path.mkdir()
        self.own(path)
        self.write(files)

    def write(self, files):
        """Replaces all files: texts by name."""
        now = time.time_ns()
        stamp = time.strftime("%Y_%m_%d_%H_%M_%S", time.gmtime(now / 1e9))
        version = self.path / f"..{stamp}.{now % 10**9:09}"
        version.mkdir()
        for name, text in files.items():
            file = version / name
            file.write_text(text)
            file.chmod(self.mode | (0o440 if self.group is not None else 0))
            self.own(file)
        self.own(version)

        data = self.path / "..data"
        before = data.resolve() if data.exists() else None
        following = self.path / "..data_tmp"
        following.symlink_to(version.name)
        following.rename(data)
        for name in files:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        for link in self.path.iterdir():
            if not link.name.startswith("..") and link.name not in files:
                link.unlink()
        if before:
            shutil.rmtree(before)

    def own(self, path):
        """Gives a file or directory to root and to the group of the volume."""
        if self.group is not None:
            os.chown(path, 0, self.group)
            if path.is_dir():
                path.chmod(0o2775)


def data_volume(path, group):
    """Creates an empty volume that is writable for the group (`fsGroup`)."""
    path.mkdir()
    if group is not None:
        os.chown(path, 0, group)
        path.chmod(0o2775)
