"""Image in OCI layout: its configuration and the files of its layers."""

import json
import pathlib
import tarfile


class Image:
    """Image that is the only one of a layout.

    `config` is the part of the configuration that container engines apply, such as `User`.
    """

    def __init__(self, path):
        self._path = pathlib.Path(path)
        (manifest,) = json.loads((self._path / "index.json").read_text())["manifests"]
        self.digest = manifest["digest"]
        manifest = self._read_json(self.digest)
        self.config = self._read_json(manifest["config"]["digest"])["config"]
        self._layers = [layer["digest"] for layer in manifest["layers"]]

    def _blob(self, digest):
        return self._path / "blobs" / digest.replace(":", "/")

    def _read_json(self, digest):
        return json.loads(self._blob(digest).read_text())

    def files(self):
        """Returns the files and directories of all layers by path."""
        found = {}
        for digest in self._layers:
            with tarfile.open(self._blob(digest)) as layer:
                found |= {entry.name.rstrip("/"): entry for entry in layer}
        return found

    def unpack(self, target):
        """Writes all files below a directory, with their owners and modes."""
        for digest in self._layers:
            with tarfile.open(self._blob(digest)) as layer:
                layer.extractall(target, numeric_owner=True)
