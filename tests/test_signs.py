"""Signs that a server or a limit is wrong, in answers that came as if nothing were."""

import pytest

from faulty_server import FaultyServer, faulty, said
from potstill.errors import PotstillError
from potstill.models import Request
from potstill.models.complete import Billing, complete
from potstill.models.remote.chat import ChatModel
from potstill.models.signs import Signs
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store
from potstill.pipeline.pipeline import carry_out, start
from small import RECIPE

pytestmark = pytest.mark.usefixtures("short_backoff")


def long_prompts(n, words=3000, more=0):
    return [Request(str(i), [{"role": "user", "content": "word " * (words + more * i) + str(i)}]) for i in range(n)]


def warnings(tmp_path, capsys, requests, tokens):
    """What is said of prompts whose usage is ``tokens(characters)``."""

    def respond(body):
        read = tokens(len(body["messages"][-1]["content"]))
        return said("fine", usage={"prompt_tokens": read, "completion_tokens": 2})

    with faulty(respond) as server:
        model = ChatModel(Endpoint(url=server.url, model="m"))
        list(complete(model, requests, "teacher", Billing(Store(tmp_path / "s"))))
    return [line for line in capsys.readouterr().err.splitlines() if "cut prompts" in line]


def test_prompts_that_a_server_cuts_are_noticed_once(tmp_path, capsys):
    (line,) = warnings(tmp_path, capsys, long_prompts(6), lambda n: min(n // 5, 1000))
    assert "it counts 1000 tokens in 6 long prompts" in line
    assert "num_ctx" in line


def test_one_number_for_prompts_of_different_lengths_is_a_limit(tmp_path, capsys):
    (line,) = warnings(tmp_path, capsys, long_prompts(6, more=150), lambda n: min(n // 5, 2900))
    assert "it counts 2900 tokens in 6 long prompts" in line


@pytest.mark.parametrize(("requests", "tokens"), [
    (long_prompts(6, more=150), lambda n: n // 5),
    (long_prompts(6, more=150), lambda n: n // 8),
    (long_prompts(6), lambda n: 3000),
    (long_prompts(6, words=3, more=1), lambda n: 1),
])  # fmt: skip
def test_nothing_is_said_of_prompts_that_are_read_whole(tmp_path, capsys, requests, tokens):
    assert warnings(tmp_path, capsys, requests, tokens) == []


EMPTY = {
    "length": (said("", "length", {"prompt_tokens": 30, "completion_tokens": 64, "completion_tokens_details": {"reasoning_tokens": 64}}), "raise 'thinking_tokens'"),
    "cut in a block": (said("<think>So", "length"), "raise 'thinking_tokens'"),
    "stop": (said(None, reasoning_content="Answer: 7"), "all of their text as reasoning: turn thinking off with 'extra_body'"),
    "stop, by a block": (said("<think>Answer: 7"), "all of their text as reasoning: turn thinking off with 'extra_body'"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "cure"), EMPTY.values(), ids=EMPTY.keys())
def test_empty_answers_are_explained_where_they_come_and_where_nothing_is_left(
    tmp_path, tiny_folder, capsys, answer, cure
):
    with FaultyServer(lambda body: answer) as server:
        (tmp_path / "r.yaml").write_text(RECIPE.format(url=server.url, student=tiny_folder))
        run = start(str(tmp_path / "r.yaml"), tmp_path / "runs")
        with pytest.raises(PotstillError, match=rf"No row is left to train on\. 24 of 24 answers .*{cure}"):
            carry_out(run, "curate")
        assert (
            f"24 of 24 answers are empty because {'thinking' if 'raise' in cure else 'the server'}"
            in capsys.readouterr().err
        )


def test_what_is_unusual_stands_in_the_manifest(tmp_path, tiny_folder):
    def respond(body):
        return (
            (400, {"detail": "unknown field: temperature"})
            if "temperature" in body
            else said("It is so.\nAnswer: 7</s>")
        )

    with FaultyServer(respond) as server:
        (tmp_path / "r.yaml").write_text(RECIPE.format(url=server.url, student=tiny_folder))
        run = start(str(tmp_path / "r.yaml"), tmp_path / "runs")
        carry_out(run, "generate")
        assert run.manifest["models"] == {"t": {"left_out": ["temperature"], "counts": {"template_marks_cut": 24}}}
        assert run.stages["generate"]["state"] == "done"


def test_a_few_empty_answers_are_no_sign():
    signs = Signs()
    signs.answers, signs.empty["without_room"] = 100, 5
    assert list(signs.messages()) == []
