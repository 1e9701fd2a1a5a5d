"""Certificates of an authority of our own, and a relay that puts TLS before a deployment."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PIECE_BYTES = 1 << 16


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=60)


@dataclass(frozen=True)
class Authority:
    """Signs certificates; who trusts it trusts :attr:`file`."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> Authority:
        directory.mkdir()
        _openssl(
            directory,
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt"),
            *("-subj", "/CN=an authority", "-days", "2"),
        )
        return cls(directory)

    @property
    def file(self) -> Path:
        return self.directory / "ca.crt"

    def sign(self, address: str, *, days: int = 2) -> Path:
        """A file with key and certificate of an address or a host.

        :param address: as openssl spells it: ``IP:127.0.0.1``.
        :param days: how long it holds from now on; of a negative number it has expired.
        """
        name = f"{address.replace(':', '-')}{days}"
        _openssl(
            self.directory,
            *("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr"),
            *("-subj", "/CN=a deployment"),
        )
        (self.directory / f"{name}.ext").write_text(f"subjectAltName={address}\n")
        _openssl(
            self.directory,
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.crt"),
        )
        both = self.directory / f"{name}.pem"
        both.write_text((self.directory / f"{name}.key").read_text() + (self.directory / f"{name}.crt").read_text())
        return both


@contextlib.contextmanager
def relay(certificate: Path, to_port: int) -> Iterator[str]:
    """Decrypt and forward what comes to a loopback port; gives its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        thread = threading.Thread(target=_accept, args=(listening, context, to_port), daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _accept(listening: socket.socket, context: ssl.SSLContext, to_port: int) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return  # closed
        threading.Thread(target=_serve, args=(plain, context, to_port), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, to_port: int) -> None:
    """One question and its answer after the other, until one side has no more to say."""
    with (
        contextlib.suppress(OSError),
        plain,
        context.wrap_socket(plain, server_side=True) as client,
        socket.create_connection(("127.0.0.1", to_port), timeout=30) as server,
    ):
        answers = threading.Thread(target=_carry, args=(server, client), daemon=True)
        answers.start()
        _carry(client, server)
        answers.join(30)


def _carry(origin: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := origin.recv(PIECE_BYTES):
            to.sendall(piece)
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_WR)
