"""Why a source could not be asked, from the errors of real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from app.transfer.sources.reasons import TIMED_OUT, explain_tls, words_of


def test_a_server_without_tls_has_no_refused_certificate() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"https://127.0.0.1:{server.server_port}"
        with pytest.raises(requests.exceptions.SSLError) as caught:
            requests.get(base, timeout=20)
        server.shutdown()
    error = explain_tls(base, caught.value)
    assert "does not speak TLS" in error.message
    assert "certificate" not in error.message
    assert "http://" in str(error.hint)


def test_a_certificate_that_is_refused_names_the_key() -> None:
    error = explain_tls("https://old.example", ssl.SSLCertVerificationError(1, "self-signed certificate"))
    assert "the TLS certificate is refused: self-signed certificate" in error.message
    assert "FERRY_TLS_CA" in str(error.hint)


def test_a_time_out_is_called_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        threading.Thread(target=lambda: held.append(server.accept()[0]), daemon=True).start()
        with pytest.raises(requests.exceptions.ReadTimeout) as caught:
            requests.get(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.3)
        for connection in held:
            connection.close()
    assert words_of(caught.value) == TIMED_OUT
