"""Limits on new tokens: shrunk to the room in the context, doubled once where they truncate too many answers."""

import json
import shutil

import pytest

import small
from potstill.models import ErrorKind, Request, Sampling
from potstill.models.remote import wire
from potstill.recipe import loading
from potstill.stages.evaluate.stage import evaluate
from potstill.workspace import artifacts
from potstill.workspace.run import Run
from test_chat import Server, chat_response, error, request

REFUSALS = {
    "OpenAI": "This model's maximum context length is 100 tokens. However, you requested {total} tokens ({prompt} in the messages, "
    "{limit} in the completion). Please reduce the length of the messages or completion.",
    "vLLM": "'max_tokens' or 'max_completion_tokens' is too large: {limit}. This model's maximum context length is 100 tokens and "
    "your request has {prompt} input tokens ({limit} > 100 - {prompt}).",
    "vLLM since 0.12": "You passed {prompt} input tokens and requested {limit} output tokens. However, the model's context length "
    "is only 100 tokens, resulting in a maximum input length of 36 tokens.",
    "OpenRouter": "This endpoint's maximum context length is 100 tokens. However, you requested about {total} tokens ({prompt} of "
    "text input, {limit} in the output).".replace("({prompt} of", "({prompt} tokens of"),
}  # fmt: skip


def full_context(text, prompt=80):
    def answer(body, n):
        limit = body["max_tokens"]
        if prompt + limit > 100:
            return error(400, message=text.format(prompt=prompt, limit=limit, total=prompt + limit))
        return chat_response(f"within {limit}", "length")

    return Server(answer)


@pytest.mark.parametrize("server", REFUSALS)
def test_a_limit_shrinks_to_the_room_that_the_server_states(server):
    refusing = full_context(REFUSALS[server])
    got = refusing.complete(request("a", max_tokens=64), request("b", max_tokens=20))
    assert [got[id_].text for id_ in "ab"] == ["within 20", "within 20"]
    assert [body["max_tokens"] for body in refusing.bodies if body["messages"][-1]["content"] == "a"] == [64, 20]


def test_reasoning_tokens_keep_their_room():
    refusing = full_context(REFUSALS["OpenAI"])
    got = refusing.complete(request("a", max_tokens=64), thinking_tokens=12)
    assert got["a"].text == "within 20"  # 12 for the reasoning, 8 for the answer


@pytest.mark.parametrize(
    "text", ["maximum context length is 100 tokens", REFUSALS["OpenAI"].replace("{prompt}", "9" * 5000)]
)
def test_a_prompt_without_room_fails_alone(text):
    refusing = full_context(text, prompt=200)
    got = refusing.complete(request("a", max_tokens=64))
    assert got["a"].error is ErrorKind.CONTEXT_TOO_LONG
    assert len(refusing.bodies) == 1


def test_other_refusals_do_not_change_the_limit():
    refused = wire.failed_completion(
        request("a"), ErrorKind.INVALID_REQUEST, REFUSALS["OpenAI"].format(prompt=80, limit=64, total=144)
    )
    assert wire.room_left(request("a", max_tokens=64), refused, 0) == 0


def test_another_limit_is_the_same_draw():
    drawn = Request("a", [{"role": "user", "content": "?"}], Sampling(64, temperature=1, seed=3), sample=2)
    assert wire.with_limit(drawn, 20).draw_seed() == drawn.draw_seed()


# Doubled


RECIPE = """\
name: doubled
task: math
data: {{source: files, train: train.jsonl, test: test.jsonl}}
teacher: {{model: {{url: "{url}", model: t}}}}
generate: {{max_tokens: 30}}
student: {{model: "{student}", max_tokens: 8}}
evaluate: {{systems: [teacher-cot, teacher-cot-fewshot, teacher-direct]}}
"""


class Talkative(small.Teacher):
    """Needs 50 tokens for ``long`` of every 100 test questions if it may reason, 10 for the others; without examples only."""

    long = 3

    def answer(self, body):
        *shots, last = [message["content"] for message in body["messages"]]
        number = int(last.partition("Number ")[2].split("?")[0])
        needed = 50 if "few short steps" in last and not shots and number < self.long else 10
        is_cut = needed > body["max_tokens"]
        message = {"role": "assistant", "content": "It is" if is_cut else "Answer: 7"}
        return {
            "choices": [{"message": message, "finish_reason": "length" if is_cut else "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": min(needed, body["max_tokens"])},
        }


@pytest.fixture
def talkative(tmp_path, tiny_folder):
    with Talkative() as teacher:
        recipe = loading.parse(RECIPE.format(url=teacher.url, student=tiny_folder))
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        rows = [
            {"id": f"test-{i}", "split": "test", "group": str(i), "question": f"Number {i}?", "gold": "7"}
            for i in range(100)
        ]
        run.write(artifacts.examples(recipe.task), rows)
        shutil.copytree(tiny_folder, run.student_folder)
        yield teacher, run


def limits(teacher):
    """The limits of all requests, by whether the model may reason and whether it sees examples, with their numbers."""
    counts = {}
    for body in map(json.loads, teacher.seen):
        kind = ("few short steps" in body["messages"][-1]["content"], len(body["messages"]) > 1, body["max_tokens"])
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def test_truncated_answers_alone_are_asked_again_under_twice_the_limit(talkative):
    """3 of 100 are truncated, more than 2 percent: the limit of the prompt is doubled, not that of others, nor for finished answers."""
    teacher, run = talkative
    evaluate(run.recipe, run)
    assert limits(teacher) == {
        (True, False, 30): 100,
        (True, False, 60): 3,
        (True, True, 30): 100,
        (False, False, 30): 100,
    }
    rows = run.read(artifacts.predictions("teacher-cot"))
    assert [row["max_tokens"] for row in rows] == [60] * 3 + [30] * 97
    assert {row["outcome"] for row in rows} == {"correct"}
    (values,) = run.evaluation["splits"].values()
    assert {name: system["max_tokens"] for name, system in values["systems"].items()} == {
        "teacher-cot": 60, "teacher-cot-fewshot": 30, "teacher-direct": 30,
    }  # fmt: skip


def test_two_percent_may_be_truncated(talkative):
    teacher, run = talkative
    teacher.long = 2
    evaluate(run.recipe, run)
    assert limits(teacher) == {(True, False, 30): 100, (True, True, 30): 100, (False, False, 30): 100}
    assert [row["outcome"] for row in run.read(artifacts.predictions("teacher-cot"))] == ["truncated"] * 2 + [
        "correct"
    ] * 98
