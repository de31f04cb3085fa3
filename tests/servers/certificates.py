"""A certificate of this machine's own, for servers that take TLS only."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Its file is also the authority that a client must trust."""

    file: Path
    key: Path

    def options(self) -> tuple[str, ...]:
        """For a Redis or Valkey server that asks clients for no certificate."""
        files = (
            "--tls-cert-file",
            str(self.file),
            "--tls-key-file",
            str(self.key),
            "--tls-ca-cert-file",
            str(self.file),
        )
        return (*files, "--tls-auth-clients", "no", "--tls-replication", "yes")


def make_certificate(folder: Path) -> Certificate:
    """For 127.0.0.1 and localhost, for one day. Needs openssl."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "server.crt", folder / "server.key")
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
    ]
    words += ["-keyout", str(made.key), "-out", str(made.file), "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run(words, check=True, capture_output=True)
    return made
