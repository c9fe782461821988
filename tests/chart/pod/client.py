"""HTTP client of narthex, with the URL and the credentials of the helm test."""

import base64
import copy
import http.client
import json
import pathlib
import socket
import ssl
import tempfile
import urllib.parse

from pod import credentials
from pod.kubelet import POD_ADDRESS

TIMEOUT = 20


class Client:
    """Sends each request on a connection of its own."""

    def __init__(self, rendered, secrets):
        """Takes flags from the pod of the helm test, and files from its Secret."""
        spec = rendered.find("Pod", "narthex-test")["spec"]
        flags = dict(arg.split("=", 1) for arg in spec["containers"][0]["args"] if "=" in arg)
        self.url = urllib.parse.urlsplit(flags["--url"])
        self.user = credentials.PROBE if "--username" in flags else None
        self.context = None
        if self.url.scheme == "https":
            volume, = spec["volumes"]
            self.files = secrets[volume["secret"]["secretName"]]
            self.context = ssl.create_default_context(cadata=self.files["ca.crt"])
            if "--cert-file" in flags:
                self.load_certificate()

    def load_certificate(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "client"
            file.write_text(self.files["tls.crt"] + self.files["tls.key"])
            self.context.load_cert_chain(file)

    def as_user(self, user):
        """Returns a client with the password of another user, or with none."""
        return self.changed(user=user)

    def without_certificate(self):
        """Returns a client that has no certificate."""
        return self.changed(context=ssl.create_default_context(cadata=self.files["ca.crt"]))

    def below(self, prefix):
        """Returns a client of another route prefix."""
        return self.changed(url=self.url._replace(path=prefix))

    def changed(self, **attributes):
        client = copy.copy(self)
        vars(client).update(attributes)
        return client

    def connect(self):
        """Connects to the pod. The certificate must have the host of the URL."""
        connection = socket.create_connection((POD_ADDRESS, self.url.port), TIMEOUT)
        if self.context:
            name = self.url.hostname
            connection = self.context.wrap_socket(connection, server_hostname=name)
        return connection

    def server_certificate(self):
        """Returns the served certificate, DER."""
        with self.connect() as connection:
            return connection.getpeercert(binary_form=True)

    def get(self, path):
        """Returns status and text of the response."""
        headers = {"Connection": "close"}
        if self.user:
            name, password, _ = self.user
            basic = base64.b64encode(f"{name}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {basic}"
        connection = http.client.HTTPConnection(self.url.hostname)
        with self.connect() as connection.sock:
            connection.request("GET", self.url.path + path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def status(self, path):
        return self.get(path)[0]

    def text(self, path):
        """Returns the text of a response with the status 200."""
        status, text = self.get(path)
        assert status == 200, f"{path}: {status} {text}"
        return text

    def json(self, path):
        return json.loads(self.text(path))
