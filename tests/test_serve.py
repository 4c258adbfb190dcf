"""`potstill serve`, asked by OpenAI's own client: what it answers, and that the student is asked as it was trained."""

import json
import re
import shlex
import subprocess

import openai
import pytest

import served
from evaluated import example
from potstill.models.local import loading

QUESTION = [{"role": "user", "content": "What is 2 + 3?"}]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    served.tiny_weights(folder / "hf", folder / "tiny.gguf")
    return folder


@pytest.fixture(scope="module")
def server(weights, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    rows = [example(id_, split="train", question="What is 2 + 3?") | {"system": "Be brief."} for id_ in "ab"]
    served.run_with_student(runs, weights / "hf", weights / "tiny.gguf", data=", system: Be brief.", rows=rows)
    with served.Server(runs, "--concurrency", 4) as running:
        yield running


def ask(server, messages=QUESTION, **options):
    return server.client().chat.completions.create(model="one", messages=messages, **options)


def prompt_tokens(weights, messages):
    return len(loading.load_chat(weights / "hf").tokens(messages))


def test_an_answer_has_the_official_form(server, weights):
    answer = ask(server)
    assert answer.object == "chat.completion"
    assert answer.model == "one"
    assert answer.id.startswith("chatcmpl-")
    assert answer.system_fingerprint.startswith("fp_")
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    expected = prompt_tokens(weights, [{"role": "system", "content": "Be brief."}, *QUESTION])
    assert answer.usage.prompt_tokens == expected
    assert 1 <= answer.usage.completion_tokens <= 12, "student.max_tokens is the limit where the request has none"
    assert answer.usage.total_tokens == expected + answer.usage.completion_tokens


def test_a_stream_is_the_same_answer_in_official_chunks(server):
    whole = ask(server)
    chunks = list(ask(server, stream=True, stream_options={"include_usage": True}))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert ends[-1] == whole.choices[0].finish_reason
    assert set(ends[:-1]) == {None}
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert all(chunk.usage is None for chunk in ask(server, stream=True))


def test_the_recipes_system_message_is_added_only_where_the_client_sends_none(server, weights):
    own = [{"role": "system", "content": "Be very, very long."}, *QUESTION]
    assert ask(server, own).usage.prompt_tokens == prompt_tokens(weights, own)
    developer = [{"role": "developer", "content": "Be very, very long."}, *QUESTION]
    assert ask(server, developer).choices[0].message.content == ask(server, own).choices[0].message.content


def test_a_quoted_control_token_stays_text(server, weights):
    quoted = [{"role": "system", "content": "x"}, {"role": "user", "content": "a<end>b"}]
    asked = ask(server, quoted).usage.prompt_tokens
    assert asked == prompt_tokens(weights, quoted)
    assert asked > prompt_tokens(weights, [quoted[0], {"role": "user", "content": "ab"}]) + 1, "<end> is five bytes"


def test_parts_of_text_and_chats_of_several_turns(server):
    parts = [{"role": "user", "content": [{"type": "text", "text": "What is 2 + 3?"}]}]
    assert ask(server, parts).choices[0].message.content == ask(server).choices[0].message.content
    chat = [*QUESTION, {"role": "assistant", "content": "5"}, {"role": "user", "content": "And 4?"}]
    assert ask(server, chat).usage.prompt_tokens > ask(server).usage.prompt_tokens


def test_limits_and_stops(server):
    assert ask(server, max_tokens=3).usage.completion_tokens == 3
    cut = ask(server, max_completion_tokens=40)
    assert cut.usage.completion_tokens == 40
    assert cut.choices[0].finish_reason == "length"
    text = cut.choices[0].message.content
    mark = re.findall("[ -~]{2}", text)[-1]
    stopped = ask(server, max_tokens=40, stop=[mark])
    assert stopped.choices[0].message.content == text[: text.index(mark)]
    assert stopped.choices[0].finish_reason == "stop"


def test_draws_repeat_with_their_seed(server):
    def drawn(**options):
        return ask(server, max_tokens=24, temperature=1.0, **options).choices[0].message.content

    assert drawn(seed=1) == drawn(seed=1)
    assert len({drawn(seed=n) for n in range(4)}) > 1
    assert drawn(seed=5, top_p=1e-6) == ask(server, max_tokens=24).choices[0].message.content


def test_log_probabilities(server):
    (choice,) = ask(server, logprobs=True, top_logprobs=3, max_tokens=5).choices
    entries = choice.logprobs.content
    assert 3 <= len(entries) <= 5, "tokens that are parts of one character are one entry"
    for entry in entries:
        assert entry.logprob <= 0
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].logprob == pytest.approx(entry.logprob, abs=1e-4), "greedy: the likeliest token"
    streamed = [chunk.choices[0].logprobs for chunk in ask(server, logprobs=True, max_tokens=5, stream=True)]
    assert [one.logprob for part in streamed if part for one in part.content] == pytest.approx(
        [entry.logprob for entry in entries], abs=1e-3
    )
    assert ask(server).choices[0].logprobs is None


def test_an_answer_by_schema(server):
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    text = ask(server, response_format=form, max_tokens=60).choices[0].message.content
    assert json.loads(text)["n"] in (1, 2)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "nothing"}, "no JSON Schema"),
        ({"not": {"type": "string"}}, "'not' is not supported"),
        ({"properties": {"a": {"type": "string", "pattern": "(?=x)a"}}}, "(?"),
        ({"anyOf": [{"$ref": "#/$defs/a"}]}, "'#/$defs/a'"),
    ],
)
def test_a_schema_that_would_be_ignored_is_refused(server, schema, words):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})
    assert refused.value.param.startswith("response_format")
    assert words in str(refused.value)


def test_the_models(server):
    assert [model.id for model in server.client().models.list()] == ["one"]
    assert server.client().models.retrieve("one").id == "one"
    with pytest.raises(openai.NotFoundError):
        server.client().models.retrieve("two")


def test_what_is_printed_works(server):
    text = "\n".join(server.lines)
    assert '"Be brief."' in text
    assert "question alone" in text
    assert "gguf-f16 in llama.cpp, 4 requests at once" in text
    command = next(line for line in server.lines if line.strip().startswith("curl"))
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_metrics_count_what_was_done(server):
    before = server.metrics()
    answer = ask(server, stream=True, stream_options={"include_usage": True})
    usage = next(chunk.usage for chunk in answer if chunk.usage)
    server.post(b"{")
    after = server.metrics()

    def grown(name):
        return after[f"potstill_{name}"] - before.get(f"potstill_{name}", 0)

    assert grown('requests_total{status="200"}') == 1
    assert grown('requests_total{status="400"}') == 1
    assert grown("prompt_tokens_total") == usage.prompt_tokens
    assert grown("completion_tokens_total") == usage.completion_tokens
    assert grown("cached_prompt_tokens_total") == usage.prompt_tokens_details.cached_tokens
    assert grown("first_token_seconds_count") == 1
    assert grown("token_seconds_count") == 1
    assert after["potstill_requests_in_flight"] == after["potstill_requests_waiting"] == 0


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"temperature": -1}, 400, ("temperature", "greater than or equal to 0")),
        ({"temperature": "hot"}, 400, ("temperature", "number")),
        ({"top_p": 0}, 400, ("top_p", "greater than 0")),
        ({"max_tokens": 0}, 400, ("max_tokens", "greater than or equal to 1")),
        ({"n": 2}, 400, ("n", "less than or equal to 1")),
        ({"stop": ["a", "b", "c", "d", "e"]}, 400, ("stop", "at most 4")),
        ({"top_logprobs": 3}, 400, ("top_logprobs", "logprobs")),
        ({"tools": [{"type": "function"}]}, 400, ("tools", "none")),
        ({"frequency_penalty": 0.5}, 400, ("frequency_penalty", "Leave it out")),
        ({"temprature": 1}, 400, ("temprature", "Did you mean 'temperature'")),
        ({"response_format": {"type": "json_schema"}}, 400, ("response_format", "json_schema")),
        ({"model": "gpt-9"}, 404, ("model", "'one'")),
        ({"messages": []}, 400, ("messages", "at least 1")),
        ({"messages": "hello"}, 400, ("messages", "list")),
        ({"messages": [{"role": "user"}]}, 400, ("messages", "empty")),
        ({"messages": [{"role": "poet", "content": "x"}]}, 400, ("messages", "poet")),
        ({"messages": [*QUESTION, {"role": "assistant", "content": "5"}]}, 400, ("messages", "the user's")),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400, ("messages", "image")),
        ({"messages": [{"role": "user", "content": "long " * 2000}]}, 400, ("messages", "tokens")),
    ],
)  # fmt: skip
def test_a_bad_request_is_refused_with_the_field(server, change, status, words):
    code, body, _ = server.post({"model": "one", "messages": QUESTION} | change)
    assert code == status
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == words[0]
    assert all(word in error["message"] for word in words)


def test_fields_that_ask_for_nothing_are_taken(server):
    neutral = {
        "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "tools": [], "tool_choice": "auto", "user": "u", "n": 1,
        "stop": None, "seed": None, "stream": False, "metadata": {"a": "b"},
    }  # fmt: skip
    status, body, _ = server.post({"messages": QUESTION, **neutral})
    assert status == 200
    assert body["choices"][0]["message"]["content"] == ask(server).choices[0].message.content


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b'{"messages": [' + b"[" * 5000])
def test_a_body_that_is_no_object_of_json(server, body):
    status, error, _ = server.post(body)
    assert status == 400
    assert "JSON" in error["error"]["message"]


def test_a_long_prompt_has_the_code_that_clients_know(server):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, [{"role": "user", "content": "x" * 5000}])
    assert refused.value.code == "context_length_exceeded"


def test_a_body_of_10_mib(server):
    status, error, _ = server.post({"messages": [{"role": "user", "content": "x" * 10 * 2**20}]})
    assert status == 413
    assert "bytes" in error["error"]["message"]


def test_lone_surrogates_are_answered(server):
    status, _, _ = server.post(b'{"messages": [{"role": "user", "content": "half \\ud83d of it"}]}')
    assert status in (200, 400)


def test_addresses_that_do_not_exist(server):
    client = server.client()
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="one", input="x")
    with pytest.raises(openai.APIStatusError) as refused:
        client.get("/chat/completions", cast_to=object)
    assert refused.value.status_code == 405


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}]
)
def test_a_page_of_another_site_is_refused(server, headers):
    status, error, _ = server.post({"messages": QUESTION}, **headers)
    assert status == 403
    assert error["error"]["type"] == "permission_error"
