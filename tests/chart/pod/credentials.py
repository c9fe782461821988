"""Certificates, keys and users that an operator puts into Secrets."""

import pathlib
import subprocess
import tempfile
import threading

SERVER_NAME = "narthex.monitoring.svc"
# Users with their passwords, and the bcrypt hashes of these.
PROBE = ("probe", "probe-password", "$2b$04$abcdefghijklmnopqrstu.gQIWUKtUBUC3bwirzrGnshibCWFcL9G")
SECOND = ("second", "second-password",
          "$2b$04$abcdefghijklmnopqrstu.sZ2UQDEmURE3C/Mn2JeqinsHZjAaUd6")
OPENSSL_CONFIG = "[req]\ndistinguished_name = name\n[name]\n"


class Authority:
    """A certificate authority with a key of its own."""

    def __init__(self):
        self.lock = threading.Lock()
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        (self.path / "config").write_text(OPENSSL_CONFIG)
        self.create("ca", "basicConstraints=critical,CA:TRUE")
        self.certificate = (self.path / "ca.crt").read_text()

    def issue(self, subject_alternative_name):
        """Returns a certificate with a new key, as in a Secret of the type kubernetes.io/tls."""
        # Stories run at once, and the names of the files are fixed.
        with self.lock:
            return self.issue_leaf(subject_alternative_name)

    def issue_leaf(self, subject_alternative_name):
        signer = ("-CA", self.path / "ca.crt", "-CAkey", self.path / "ca.key")
        constraints = "basicConstraints=critical,CA:FALSE"
        self.create("leaf", constraints, f"subjectAltName={subject_alternative_name}", *signer)
        return {
            "tls.crt": (self.path / "leaf.crt").read_text(),
            "tls.key": (self.path / "leaf.key").read_text(),
            "ca.crt": self.certificate,
        }

    def create(self, name, constraints, alternative_name=None, *signer):
        extensions = ["-addext", constraints]
        if alternative_name:
            extensions += ["-addext", alternative_name]
        subprocess.run(
            ["openssl", "req", "-x509", "-config", self.path / "config", "-subj", f"/CN={name}",
             "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "30",
             "-keyout", self.path / f"{name}.key", "-out", self.path / f"{name}.crt",
             *extensions, *signer],
            check=True,
            capture_output=True,
        )


def web_file(tls=False, client_certificates=False, users=()):
    """Returns a web configuration file with the paths of the chart."""
    lines = []
    if tls:
        lines += [
            "tls_server_config:",
            "  cert_file: /etc/narthex/certificates/tls.crt",
            "  key_file: /etc/narthex/certificates/tls.key",
        ]
    if client_certificates:
        lines += [
            "  client_ca_file: /etc/narthex/certificates/ca.crt",
            "  client_auth_type: RequireAndVerifyClientCert",
        ]
    if users:
        lines += ["basic_auth_users:", *[f"  {name}: {hash_}" for name, _, hash_ in users]]
    return "\n".join(lines) + "\n"


def secrets(authority):
    """Returns the Secrets of each scenario that has some: files by name of the Secret."""
    server = authority.issue(f"DNS:{SERVER_NAME}")
    client = authority.issue("DNS:probe.example.com")
    return {
        "tls": {
            "narthex-web": {"web.yml": web_file(tls=True)},
            "narthex-tls": server,
            "narthex-ca": {"ca.crt": authority.certificate},
        },
        "users": {
            "narthex-web": {"web.yml": web_file(users=[PROBE])},
            "narthex-client": {"password": PROBE[1]},
        },
        "client-certificates": {
            "narthex-web": {"web.yml": web_file(tls=True, client_certificates=True)},
            "narthex-tls": server,
            "narthex-client": client,
        },
        "thanos": {"narthex-objstore": {"objstore.yml": ""}},
    }
