"""`plan`, `preview` and `--dry-run` download, request and start nothing: with an empty cache, for models of every kind."""

import json
import os

import pytest

import small

WATCH = """\
import os, sys
EVENTS = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork")
def watch(event, arguments):
    if event in EVENTS:
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {arguments!r}"[:300] + "\\n")
        raise OSError(f"no {event} here")
sys.addaudithook(watch)
"""
RECIPE = """\
name: kinds
task: math
data: {source: word_problems, train: 6, validation: 2, test: 2, test_unseen: 1}
teacher: {model: TEACHER}
student: {model: packaged/smollm2-135m-instruct}
evaluate:
  systems:
  - base
  - student
  - teacher-direct
  - {name: packaged, model: packaged/qwen2.5-coder-0.5b-instruct}
  - {name: hub, model: hf/org/name}
  - {name: server, model: {url: "http://192.0.2.1/v1", model: m}}
  - {name: llama, model: {serve: llama.cpp, model: packaged/qwen2.5-coder-1.5b-instruct}}
  - {name: vllm, model: {serve: vllm, model: hf/org/other}}
"""
TEACHERS = {
    "packaged": "packaged/qwen2.5-coder-0.5b-instruct",
    "hub": "hf/org/teacher",
    "server": '{url: "https://192.0.2.1/v1", model: t}',
    "started": "{serve: llama.cpp, model: packaged/qwen2.5-coder-0.5b-instruct}",
}


@pytest.fixture
def place(tmp_path):
    """A folder, and an environment with empty caches in which whatever is requested or started is refused and noted."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sitecustomize.py").write_text(WATCH)
    (tools / "xllamacpp.py").write_text("raise ImportError('started')\n")
    (tools / "vllm").write_text("#!/bin/sh\nexit 1\n")
    (tools / "vllm").chmod(0o755)
    env = {
        "PYTHONPATH": os.pathsep.join([str(tools), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "WATCHED": str(tmp_path / "watched"),
        "POTSTILL_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0",
    }  # fmt: skip
    return tmp_path, env


def noted(folder):
    watched = folder / "watched"
    return watched.read_text() if watched.exists() else ""


@pytest.mark.parametrize(
    ("command", "teacher"),
    [
        (["plan"], "packaged"),
        (["plan"], "started"),
        (["preview"], "packaged"),
        (["preview"], "hub"),
        (["run", "--dry-run"], "server"),
        (["run", "--dry-run"], "started"),
    ],
    ids=str,
)
def test_nothing_is_downloaded_requested_or_started(place, command, teacher):
    folder, env = place
    (folder / "r.yaml").write_text(RECIPE.replace("TEACHER", TEACHERS[teacher]))
    done = small.potstill(*command, "r.yaml", "--json", cwd=folder, env=env)
    assert (done.returncode, noted(folder)) == (0, ""), done.stderr
    shown = json.loads(done.stdout)
    expected = {"plan": "what", "preview": "who", "run": "stage"}[command[0]]
    assert shown and all(expected in one for one in shown)  # noqa: PT018
    for cache in ("cache", "hub"):
        files = [path for path in (folder / cache).rglob("*") if path.is_file()]
        assert files == []


def test_what_is_requested_is_noticed(place):
    """The same command without --dry-run downloads the teacher's weights, or tries to."""
    folder, env = place
    (folder / "r.yaml").write_text(RECIPE.replace("TEACHER", TEACHERS["packaged"]))
    done = small.potstill("generate", "r.yaml", cwd=folder, env=env)
    assert done.returncode != 0
    assert "'pip', 'download'" in noted(folder)
