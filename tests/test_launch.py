"""Servers that potstill starts: a real llama.cpp server, and the command line of vLLM."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from potstill.errors import PotstillError, RecipeError
from potstill.models import Request, Sampling
from potstill.models.complete import Billing, complete
from potstill.models.opening import open_model
from potstill.models.served import launch
from potstill.models.specs import Served
from potstill.models.store.store import Store
from potstill.recipe import loading as recipe_file

LLAMA = Served(serve="llama.cpp", model="packaged/smollm2-135m-instruct", concurrency=2, context=256)
QUESTIONS = [Request(str(i), [{"role": "user", "content": f"Count to {i}."}], Sampling(8)) for i in range(6)]


OWNER = "LLAMA_SERVER_OF_TEST"
"""A variable of the environment that tells servers of this process from those of tests that run beside it."""


@pytest.fixture(autouse=True)
def _owned(monkeypatch):
    monkeypatch.setenv(OWNER, str(os.getpid()))


def servers():
    """The processes of llama.cpp servers that these tests started, without their supervisors."""
    return [
        p
        for p in psutil.process_iter(["cmdline", "environ"])
        if "llama_server.py" in "".join((p.info["cmdline"] or [])[:2])
        and (p.info["environ"] or {}).get(OWNER) == str(os.getpid())
    ]


def have_exited(processes, seconds=15):
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not alive


def test_a_llama_cpp_server_runs_only_while_requests_are_completed(tmp_path):
    model = open_model(LLAMA, 1, "auto", None)
    answers = list(complete(model, QUESTIONS, "llama", Billing(Store(tmp_path / "s.sqlite"))))
    assert all(a.text and a.completion_tokens <= 8 and a.prompt_tokens > 10 for a in answers)
    assert not servers()
    again = list(complete(model, QUESTIONS, "llama", Billing(Store(tmp_path / "s.sqlite"))))
    assert [a.text for a in again] == [a.text for a in answers]


def test_a_server_that_exits_is_reported_and_completions_are_stored(tmp_path, monkeypatch):
    store = Store(tmp_path / "s.sqlite")
    put = store.put

    def put_and_kill(*arguments, **options):
        put(*arguments, **options)
        for server in servers():
            server.send_signal(signal.SIGKILL)

    monkeypatch.setattr(store, "put", put_and_kill)
    with pytest.raises(PotstillError, match=r"llama.cpp server exited unexpectedly \(signal 9\)"):
        complete(open_model(LLAMA, 1, "auto", None), QUESTIONS, "llama", Billing(store))
    monkeypatch.undo()
    stored = store.spent("", open_model(LLAMA, 1, "auto", None).name)[0]
    assert 1 <= stored <= 4
    assert len(list(complete(open_model(LLAMA, 1, "auto", None), QUESTIONS, "llama", Billing(store)))) == 6


def test_invalid_weights_are_reported_with_the_servers_log(tmp_path):
    (tmp_path / "no.gguf").write_bytes(b"GGUF, or not" * 100)
    model = open_model(Served(serve="llama.cpp", model=str(tmp_path / "no.gguf")), 1, "auto", None)
    with pytest.raises(PotstillError, match=r"exited unexpectedly .*\n.*"):
        complete(model, QUESTIONS, "llama", Billing(Store(tmp_path / "s.sqlite")))
    assert not servers()


def test_a_killed_potstill_leaves_no_server_behind(tmp_path):
    code = (
        "import sys; from pathlib import Path; import test_launch as t; from potstill.models.complete import Billing, complete; from potstill.models.opening import open_model;"
        "from potstill.models import Request, Sampling; from potstill.models.store.store import Store;"
        "complete(open_model(t.LLAMA, 1, 'auto', None), [Request('a', [{'role': 'user', 'content': 'Tell a story.'}], Sampling(200))] ,"
        "'llama', Billing(Store(Path(sys.argv[1]))))"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s.sqlite")], env=env)
    until = time.monotonic() + 60
    while not servers() and time.monotonic() < until:
        time.sleep(0.05)
    started = servers()
    process.kill()
    process.wait()
    assert started
    assert have_exited(started)


def test_the_command_line_of_vllm():
    served = Served(
        serve="vllm", model="hf/org/name", concurrency=64, context=8192, arguments=["--tensor-parallel-size=8"]
    )
    assert launch.command_line(served, "org/name", 8000) == [
        "vllm", "serve", "org/name", "--host=127.0.0.1", "--port=8000", "--max-model-len=8192", "--max-num-seqs=64",
        "--tensor-parallel-size=8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("{serve: vllm, model: packaged/x}", "vllm reads hf/ORG/NAME"),
        ("{serve: llama.cpp, model: folder}", "llama.cpp reads a .gguf file"),
        ("{serve: llama.cpp, model: packaged/x, slots: 3}", "unknown key 'slots'"),
        ("{serve: vlm, model: hf/a/b}", "Did you mean 'vllm'?"),
        ("{url: 'http://h/v1', modl: x}", "Did you mean 'model'?"),
        ("{url: 'http://me:pass@h/v1', model: x}", "without a password"),
        ("{url: 'http://h/v1?token=secret', model: x}", "only api-version"),
        ("{url: 'http://h/v1?k={api_key}', model: x}", "name its variable in api_key_env"),
    ],
)
def test_invalid_model_sections_are_rejected(teacher, message):
    text = f"name: x\ntask: math\ndata: {{}}\nteacher:\n  model: {teacher}\nstudent: {{model: packaged/b}}\n"
    with pytest.raises(RecipeError) as error:
        recipe_file.parse(text)
    assert message in str(error.value)
    assert "secret" not in str(error.value)
    assert ":pass" not in str(error.value)


def test_vllm_must_be_installed(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RecipeError, match="no vllm on the PATH"):
        Served(serve="vllm", model="hf/a/b").check()
