"""Redirects, keys, proxies and certificates of requests."""

import json
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from potstill.models import ErrorKind
from raw_server import FINE, Server, http, run_child, serving

pytestmark = pytest.mark.usefixtures("short_backoff")

SECRET = "sk-secret-0123456789"


def test_a_redirect_does_not_carry_the_key(monkeypatch):
    monkeypatch.setenv("THE_KEY", SECRET)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.5)
        redirect = http(
            b"",
            "307 Temporary Redirect",
            f"Location: http://localhost:{elsewhere.getsockname()[1]}/v1/chat/completions",
        )
        (got,) = Server(redirect).complete(api_key_env="THE_KEY")
        assert got.error is ErrorKind.NOT_FOUND
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_a_key_in_the_address_is_masked_in_error_messages(monkeypatch):
    monkeypatch.setenv("THE_KEY", SECRET)
    server = Server(
        http(json.dumps({"error": {"message": f"POST /v1?code={SECRET} refused"}}).encode(), "400 Bad Request")
    )
    (got,) = server.complete(url="http://127.0.0.1:{port}/v1?code={api_key}", api_key_env="THE_KEY")
    assert f"code={SECRET}" in server.requests[0][0].splitlines()[0]
    assert "uthorization" not in server.requests[0][0]
    assert SECRET not in got.detail
    assert "code=***" in got.detail


def test_azures_key_is_sent_in_its_own_header(monkeypatch):
    monkeypatch.setenv("THE_KEY", SECRET)
    server = Server(FINE)
    server.complete(
        url="http://127.0.0.1:{port}/openai/deployments/d?api-version=2024-10-21",
        api_key_env="THE_KEY",
        api_key_header="api-key",
    )
    head = server.requests[0][0]
    assert head.startswith("POST /openai/deployments/d/chat/completions?api-version=2024-10-21 ")
    assert f"api-key: {SECRET}" in head
    assert "Authorization" not in head


def certificate(folder, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
         "-subj", "/CN=x", "-addext", f"subjectAltName={name}"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.skipif(shutil.which("openssl") is None, reason="creates its certificates with openssl")
@pytest.mark.parametrize(("name", "served"), [("IP:127.0.0.1", True), ("DNS:elsewhere.example", False)])
def test_a_certificate_for_another_name_is_refused(tmp_path, name, served):
    with serving(Server(FINE, tls=certificate(tmp_path, name))) as server:
        env = os.environ | {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        result = run_child(server, tmp_path, env=env)
    assert (result.returncode == 0) == served, result.stderr
    assert len(server.requests) == (300 if served else 0)
    assert ("ertificate" in result.stderr and "mismatch" in result.stderr) != served


def test_an_unknown_host_is_a_connection_error():
    (got,) = Server(FINE).complete(url="http://nobody.invalid/v1")
    assert got.error is ErrorKind.CONNECTION
    assert "nobody.invalid" in got.detail


def test_the_environments_proxy_is_not_used_for_loopback_addresses(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    (got,) = Server(FINE).complete()
    assert got.text == "fine"
