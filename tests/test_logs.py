"""Logs become questions with answers; personal data goes. The forms are those that `potstill.data.logs` cites."""

import json
import random
import re
import time
import weakref
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.data import files, logs
from potstill.data.logs import Logged
from potstill.recipe.redaction import RULES, Redactor
from potstill.errors import RecipeError

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2+2?"}]
USER = [{"role": "user", "content": "What is 2+2?"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def chat(text="4", finish_reason="stop", id="chatcmpl-1", **message):
    """A chat completion as OpenAI's API gives it."""
    return {
        "id": id, "object": "chat.completion", "created": 1711475054, "model": "gpt-4o-2024-08-06",
        "choices": [{
            "index": 0, "finish_reason": finish_reason, "logprobs": None,
            "message": {"role": "assistant", "content": text, "refusal": None, **message},
        }],
        "usage": {"prompt_tokens": 24, "completion_tokens": 15, "total_tokens": 39}, "system_fingerprint": None,
    }  # fmt: skip


def responded(*items, **more):
    """A response of OpenAI's Responses API."""
    said = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    said |= {"content": [{"type": "output_text", "text": "4", "annotations": []}]}
    return {
        "id": "resp_1", "object": "response", "created_at": 1741476777, "status": "completed", "error": None,
        "incomplete_details": None, "instructions": "Be brief.", "model": "gpt-4.1-2025-04-14", "output": [*(items or [said])],
        "usage": {"input_tokens": 36, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 8, "total_tokens": 44},
    } | more  # fmt: skip


def thought(text):
    return {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


def written(part):
    return {"type": "message", "role": "assistant", "content": [part]}


REQUEST = {"model": "gpt-4o", "messages": ASK, "temperature": 0}
RESPONDED = Logged("resp_1", ASK, "4", "gpt-4.1-2025-04-14", "stop", 36, 8)
ANSWERED = Logged("chatcmpl-1", ASK, "4", "gpt-4o-2024-08-06", "stop", 24, 15)


def asked(id, question="What is 2+2?"):
    """A line of a batch's input file."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}], "max_tokens": 1000}
    return {"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def answered(id, text="4", status=200):
    """A line of its output file."""
    response = {"status_code": status, "request_id": f"req_{id}", "body": chat(text)}
    return {"id": f"batch_req_{id}", "custom_id": id, "response": response, "error": None}


def expired(id):
    return {
        "id": f"batch_req_{id}",
        "custom_id": id,
        "response": None,
        "error": {"code": "batch_expired", "message": "-"},
    }


def bedrock(sent, came, operation="InvokeModel", model="meta.llama3-1-70b-instruct-v1:0", **more):
    return {
        "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2025-03-11T00:38:02Z",
        "accountId": "123456789012", "identity": {"arn": "arn:aws:iam::123456789012:user/ann"}, "region": "us-east-1",
        "requestId": "ff4b6c63", "operation": operation, "modelId": model,
        "input": {"inputContentType": "application/json", "inputBodyJson": sent, "inputTokenCount": 15},
        "output": {"outputContentType": "application/json", "outputBodyJson": came, "outputTokenCount": 12},
    } | more  # fmt: skip


def converse(*parts, stop="end_turn"):
    return {
        "output": {"message": {"role": "assistant", "content": list(parts)}}, "stopReason": stop,
        "metrics": {"latencyMs": 302}, "usage": {"inputTokens": 4, "outputTokens": 38, "totalTokens": 42},
    }  # fmt: skip


def claude(*parts, stop="end_turn"):
    return {
        "id": "msg_bdrk_01", "type": "message", "role": "assistant", "model": "claude-3-5-sonnet-20240620",
        "content": list(parts), "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": 20, "output_tokens": 5},
    }  # fmt: skip


CONVERSE = {
    "system": [{"text": "Be brief."}], "messages": [{"role": "user", "content": [{"text": "What is 2+2?"}]}],
    "inferenceConfig": {"maxTokens": 512}, "additionalModelRequestFields": {},
}  # fmt: skip
CLAUDE = {
    "anthropic_version": "bedrock-2023-05-31", "max_tokens": 512, "system": "Be brief.",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "What is 2+2?"}]}],
}  # fmt: skip
EVENTS = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "role": "assistant", "model": "claude-opus-4-6", "content": []},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Two and "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "two."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "Eq"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "It is "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "4"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
        "usage": {"output_tokens": 9},
    },
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 15, "outputTokenCount": 12}},
]
LLAMA = {
    "prompt": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
    "<|end_header_id|>\n\nWhat is 2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "temperature": 0.1, "max_gen_len": 2048, "top_p": 0.9,
}  # fmt: skip
GENERATION = {"generation": "4", "prompt_token_count": 15, "generation_token_count": 12, "stop_reason": "stop"}
META = "meta.llama3-1-70b-instruct-v1:0"


def read(*rows):
    return list(logs.read((f"log.jsonl, line {n}", row) for n, row in enumerate(rows, 1)))


def one(row):
    [(place, logged)] = read(row)
    assert place == "log.jsonl, line 1"
    return logged


@pytest.mark.parametrize(("row", "logged"), [
    ({"request": REQUEST, "response": chat()}, ANSWERED),
    ({"id": 7, "request": {"headers": {}, "body": REQUEST}, "response": {"status_code": 200, "body": chat()}}, ANSWERED),
    ({"request": json.dumps(REQUEST), "response": json.dumps(chat())}, ANSWERED),  # cells of a table
    ({"request": REQUEST, "response": '{"label": "A"}'}, Logged("1", ASK, '{"label": "A"}', "gpt-4o")),
    ({"response_id": "r", "response_status": 200, "request_body": REQUEST, "response_body": chat()}, ANSWERED),  # Helicone
    ({"input": REQUEST, "output": chat(), "tags": {}}, ANSWERED),  # OpenPipe
    (  # LiteLLM
        {
            "id": "lite-1", "call_type": "acompletion", "status": "success", "error_str": None, "model": "gpt-4o",
            "prompt_tokens": 5, "completion_tokens": 1, "messages": ASK, "model_parameters": {},
            "response": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}}], "model": None},
        },
        Logged("lite-1", ASK, "4", "gpt-4o", "stop", 5, 1),
    ),
    ({"request": {"model": "gpt-4.1", "instructions": "Be brief.", "input": "What is 2+2?"}, "response": responded()}, RESPONDED),
    ({"request_body": {"input": [{"role": "developer", "content": "Be brief."}, {"type": "reasoning", "summary": []}, {
        "role": "user", "content": [{"type": "input_text", "text": "What is 2+2?"}]}]}, "response_body": responded()}, RESPONDED),
    ({**responded(), "input": USER}, RESPONDED),
    ({"messages": ASK, "response": chat()}, ANSWERED),
    ({"id": "x", "messages": ASK, "completion": "4", "model": "m"}, Logged("x", ASK, "4", "m")),
    ({"messages": ASK, "completion": '{"choices": [{"message": {}}]}'}, Logged("1", ASK, '{"choices": [{"message": {}}]}')),
    ({"messages": [*ASK, {"role": "assistant", "content": "4"}]}, Logged("1", ASK, "4")),
    ({"messages": json.dumps(ASK), "completion": "4"}, Logged("1", ASK, "4")),
    ({"request": {"messages": [{"role": "developer", "content": "Be brief."}, *USER]}, "response": chat()}, ANSWERED),
    (
        {"request": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
         "response": chat([{"type": "text", "text": "4"}, {"type": "text", "text": "!"}])},
        Logged("chatcmpl-1", [{"role": "user", "content": "a\nb"}], "4!", "gpt-4o-2024-08-06", "stop", 24, 15),
    ),
    ({"messages": ASK, "response": claude({"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "4"})},
     Logged("msg_bdrk_01", ASK, "4", "claude-3-5-sonnet-20240620", "stop", 20, 5, "Hm.")),
    ({"prompt": "What is 2+2?", "completion": "4"}, Logged("1", USER, "4")),
    ({"id": 12, "system": "Be brief.", "prompt": "What is 2+2?", "completion": 4}, Logged("12", ASK, "4")),
    ({"input": "What is 2+2?", "output": "4", "finish_reason": "length"}, Logged("1", USER, "4", "", "length")),
    ({"instruction": "What is 2+2?", "response": "4"}, Logged("1", USER, "4")),
    ({"instruction": "What is 2+2?", "input": "", "output": "4"}, Logged("1", USER, "4")),
    ({"instruction": "Add.", "input": "2 2", "output": "4"}, Logged("1", [{"role": "user", "content": "Add.\n\n2 2"}], "4")),
    ({"instruction": "Who?", "context": "Ann.", "response": "Ann", "category": "qa"},
     Logged("1", [{"role": "user", "content": "Who?\n\nAnn."}], "Ann")),
    ({"system": '{"a": 1}', "prompt": '{"b": 2}', "completion": '{"c": 3}'},
     Logged("1", [{"role": "system", "content": '{"a": 1}'}, {"role": "user", "content": '{"b": 2}'}], '{"c": 3}')),
    (bedrock({"prompt": '{"b": 2}'}, GENERATION),
     Logged("ff4b6c63", [{"role": "user", "content": '{"b": 2}'}], "4", META, "stop", 15, 12)),
    ({"prompt": "\ud800?", "completion": "a\udfff"}, Logged("1", [{"role": "user", "content": "??"}], "a?")),
    (bedrock(CONVERSE, converse({"text": "4"}), "Converse"), Logged("ff4b6c63", ASK, "4", META, "stop", 15, 12)),
    (
        bedrock(CONVERSE, converse({"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "4"}, stop="max_tokens"),
                "ConverseStream", "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.amazon.nova-lite-v1:0"),
        Logged("ff4b6c63", ASK, "4", "us.amazon.nova-lite-v1:0", "length", 15, 12, "Hm."),
    ),
    (bedrock(CONVERSE, converse({"text": "No."}, stop="guardrail_intervened"), "Converse"),
     Logged("ff4b6c63", ASK, "No.", META, "content_filter", 15, 12)),
    (bedrock(CLAUDE, claude({"type": "text", "text": "4"}), model="anthropic.claude-3-5-sonnet-20240620-v1:0"),
     Logged("ff4b6c63", ASK, "4", "anthropic.claude-3-5-sonnet-20240620-v1:0", "stop", 15, 12)),
    (bedrock(CLAUDE, EVENTS, "InvokeModelWithResponseStream"),
     Logged("ff4b6c63", ASK, "It is 4", META, "length", 15, 12, "Two and two.")),
    (bedrock(json.dumps(CLAUDE), json.dumps(EVENTS)),
     Logged("ff4b6c63", ASK, "It is 4", META, "length", 15, 12, "Two and two.")),
    (bedrock(LLAMA, GENERATION), Logged("ff4b6c63", ASK, "4", META, "stop", 15, 12)),
    (bedrock({"prompt": "What is 2+2?"}, GENERATION), Logged("ff4b6c63", USER, "4", META, "stop", 15, 12)),
    (bedrock(LLAMA, [{"generation": "It is", "stop_reason": None}, {"generation": " 4", "stop_reason": "length"}],
             "InvokeModelWithResponseStream"), Logged("ff4b6c63", ASK, "It is 4", META, "length", 15, 12)),
])  # fmt: skip
def test_each_form_is_read(row, logged):
    assert one(row) == logged


@pytest.mark.parametrize(("answer", "expected"), [
    (chat(finish_reason="length"), ("4", "length", "")),
    (chat(finish_reason="content_filter"), ("4", "content_filter", "")),
    (chat(finish_reason=None), ("4", "stop", "")),
    (chat(None, refusal="I cannot."), ("I cannot.", "content_filter", "")),
    (chat(reasoning_content="Hm."), ("4", "stop", "Hm.")),
    (chat(reasoning="Hm."), ("4", "stop", "Hm.")),
    (chat("<think>Hm.</think>\n4"), ("4", "stop", "Hm.")),
    (responded(thought("Hm."), written({"type": "output_text", "text": "4"})), ("4", "stop", "Hm.")),
    (responded(written({"type": "refusal", "refusal": "I cannot."})), ("I cannot.", "content_filter", "")),
    (responded(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), ("4", "length", "")),
])  # fmt: skip
def test_how_an_answer_ended_and_what_was_thought(answer, expected):
    logged = one({"messages": ASK, "response": answer})
    assert (logged.text, logged.finish_reason, logged.reasoning) == expected


IMAGE = {"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "x"}}]}
TOOL = {"role": "tool", "tool_call_id": "call_1", "content": "4"}


@pytest.mark.parametrize(("row", "why"), [
    ({"messages": ASK, "response": chat(None, "tool_calls", tool_calls=[CALL])}, "tool calls"),
    ({"messages": ASK, "response": chat("4", "tool_calls")}, "tool calls"),
    ({"messages": [*ASK, {"role": "assistant", "content": None, "tool_calls": [CALL]}, TOOL], "response": chat()}, "tool calls"),
    (bedrock(CONVERSE, converse({"text": "a"}, {"toolUse": {"name": "add"}}, stop="tool_use")), "tool calls"),
    (bedrock(CLAUDE, [*EVENTS[:9], {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use"}}]),
     "tool calls"),
    ({"messages": ASK, "response": responded({"type": "function_call", "name": "add", "arguments": "{}"})}, "tool calls"),
    ({"request": {"input": "And 3?", "previous_response_id": "resp_0"}, "response": responded()}, "without the turns before them"),
    ({"messages": ASK, "response": responded(status="failed")}, "failed requests"),
    ({"messages": [IMAGE], "response": chat()}, "images or files"),
    (bedrock({"messages": [{"role": "user", "content": [{"document": {"name": "a"}}]}]}, converse({"text": "a"})),
     "images or files"),
    ({"request": REQUEST, "response": {"status_code": 429, "body": {"error": {"message": "slow"}}}}, "failed requests"),
    ({"request": REQUEST, "response": {"error": {"message": "slow"}}}, "failed requests"),
    ({"response_status": 500, "request_body": REQUEST, "response_body": {}}, "failed requests"),
    ({"messages": ASK, "response": None, "status": "failure", "error_str": "slow"}, "failed requests"),
    (bedrock(CLAUDE, None, errorCode="ThrottlingException"), "failed requests"),
    (bedrock(CLAUDE, EVENTS[:9]), "failed requests"),  # the stream broke off
    ({"messages": ASK, "response": chat(" \n")}, "empty answers"),
    ({"messages": ASK, "completion": None}, "empty answers"),
    ({"messages": ASK, "response": chat("<think>Hm", "length")}, "empty answers"),
    ({"prompt": "a", "completion": ""}, "empty answers"),
    ({"prompt": " ", "completion": "a"}, "empty questions"),
    ({"messages": [*USER, {"role": "assistant", "content": "It is"}], "completion": " 4"}, "answers that the request began"),
    (bedrock({"inputText": "a"}, {"embedding": [0.1], "inputTextTokenCount": 1}), "embeddings"),
    (bedrock(None, EVENTS), "without their text"),
    (bedrock({"inputText": "a"}, {"results": [{"outputText": "b"}]}), "of models whose form is not known"),
])  # fmt: skip
def test_rows_without_use_are_counted(row, why, capfd):
    assert len(read(row, {"messages": ASK, "response": chat()})) == 1
    assert capfd.readouterr().err == f"  logs: 1 rows left out: 1 {why}\n"


def test_what_is_left_out_is_said_once_at_the_end(capfd):
    calls = {"messages": ASK, "response": chat(None, "tool_calls", tool_calls=[CALL])}
    assert read(calls, {"prompt": "a", "completion": "b", "error": "lost"}, calls) == []
    assert capfd.readouterr().err == "  logs: 3 rows left out: 2 tool calls, 1 failed requests\n"
    read({"prompt": "a", "completion": "b"})
    assert capfd.readouterr().err == ""


def test_batch_lines_in_any_order_and_over_two_files(tmp_path):
    lines = {
        "a.jsonl": [asked("1", "a"), answered("3", "C"), asked("2", "b"), answered("2", "B")],
        "b.jsonl": [asked("3", "c"), answered("1", "A")],
    }
    for name, rows in lines.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = [(place, one.id, one.messages[0]["content"], one.text) for place, one in logs.read(files.rows(tmp_path))]
    assert read == [
        (f"{tmp_path}/a.jsonl, line 4", "2", "b", "B"),
        (f"{tmp_path}/a.jsonl, line 2", "3", "c", "C"),
        (f"{tmp_path}/b.jsonl, line 2", "1", "a", "A"),
    ]


def test_batch_line_in_full():
    [(_, logged)] = read(answered("1"), asked("1"))
    assert logged == Logged("1", USER, "4", "gpt-4o-2024-08-06", "stop", 24, 15)


class Body(dict):
    """A request's body that can be watched."""


def test_batch_lines_are_let_go_when_their_other_half_comes():
    watched = []

    def rows():
        for n in range(300):
            line = asked(str(n))
            line["body"] = Body(line["body"])
            watched.append(weakref.ref(line["body"]))
            yield f"line {2 * n}", line
            del line
            yield f"line {2 * n + 1}", answered(str(n))

    lazily = logs.read(rows())
    assert next(lazily)[0] == "line 1"
    assert len(watched) == 1
    for _ in lazily:
        assert sum(body() is not None for body in watched) <= 2


def test_batch_lines_that_failed_and_requests_left_over(capfd):
    rows = [asked("1"), expired("1"), asked("2"), answered("2", status=500), asked("3"), asked("4"), answered("4")]
    assert [logged.id for _, logged in read(*rows)] == ["4"]
    assert capfd.readouterr().err == "  logs: 3 rows left out: 2 failed requests, 1 requests without an answer\n"


def test_a_failed_line_is_answered_by_a_later_batch(capfd):
    assert [logged.text for _, logged in read(asked("1"), asked("1"), expired("1"), answered("1"))] == ["4"]
    assert capfd.readouterr().err == "  logs: 1 rows left out: 1 failed requests\n"


def test_answers_without_their_input_file():
    with pytest.raises(
        RecipeError, match=r"line 1: .* custom_id '7' \(2 such answers\).* input file must lie in the same"
    ):
        read(answered("7"), answered("8"))


def test_one_custom_id_in_two_batches():
    with pytest.raises(
        RecipeError, match=r"line 2: the custom_id '1' stands in another line too \(log.jsonl, line 1\)"
    ):
        read(asked("1", "a"), asked("1", "b"))


def test_a_bad_request_of_a_batch_is_named():
    with pytest.raises(
        RecipeError, match=r"line 2 and its request \(log.jsonl, line 1\): .*neither 'messages' nor 'prompt'"
    ):
        read(asked("1") | {"body": {"question": "a"}}, answered("1"))


@pytest.mark.parametrize(("row", "words"), [
    ({"question": "a", "label": 1}, ["no known form", "Expected", "'messages'", "question, label"]),
    ({}, ["no known form", "no keys"]),
    ({"messages": USER}, ["there is no answer", "keys messages"]),
    ({"instruction": "a", "output": "b", "history": [["c", "d"]]}, ["'history' is not read"]),
    ({"messages": [{"role": "narrator", "content": "a"}], "completion": "b"}, ["role 'narrator'", "system, user, assistant"]),
    ({"messages": ["a"], "completion": "b"}, ["a message that is no object"]),
    ({"request": REQUEST, "response": {"choices": []}}, ["answer is of no known form", "keys are choices"]),
    ({"request": {"model": "m"}, "response": chat()}, ["neither 'messages' nor 'prompt'", "keys model"]),
    (bedrock(CLAUDE, None) | {"output": {"outputBodyS3Path": "s3://b/k", "outputBodyJson": None}},
     ["its output stands in S3 (s3://b/k)", "output.outputBodyJson"]),
])  # fmt: skip
def test_a_row_of_no_known_form(row, words):
    with pytest.raises(RecipeError) as raised:
        read({"prompt": "a", "completion": "b"}, row)
    for word in ["log.jsonl, line 2: ", *words]:
        assert word in str(raised.value)


def test_ids_are_unique():
    rows = [{"id": id, "prompt": "a", "completion": "b"} for id in ("a", "a-2", "a", "a", None, "5", "5")]
    assert [logged.id for _, logged in read(*rows)] == ["a", "a-2", "a-3", "a-4", "5", "5-2", "5-3"]


KEYS = [
    "request", "response", "request_body", "response_body", "body", "messages", "prompt", "completion", "input",
    "output", "instruction", "context", "system", "role", "content", "text", "type", "choices", "message",
    "finish_reason", "tool_calls", "usage", "prompt_tokens", "custom_id", "error", "status_code", "status", "id",
    "model", "schemaType", "modelId", "inputBodyJson", "outputBodyJson", "inputBodyS3Path", "generation",
    "stop_reason", "stopReason", "delta", "content_block", "thinking", "reasoningContent", "embedding", "data",
]  # fmt: skip
WORDS = [
    "user",
    "assistant",
    "system",
    "tool",
    "text",
    "stop",
    "ModelInvocationLog",
    "message_start",
    "{",
    "[1]",
    "\ud800",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(KEYS), values, max_size=5),
    max_leaves=12,
)
SOUND = [
    asked("1"), answered("1"), {"request": REQUEST, "response": chat()}, bedrock(CONVERSE, converse({"text": "a"})),
    bedrock(CLAUDE, EVENTS), bedrock(LLAMA, GENERATION), {"messages": ASK, "completion": "a"},
]  # fmt: skip


def reads_or_says_why(rows):
    with suppress(RecipeError):
        for place, logged in logs.read((f"line {n}", row) for n, row in enumerate(rows)):
            assert place
            assert logged.text.strip()
            json.dumps(logged.messages).encode()
            (logged.id + logged.text + logged.reasoning + logged.model).encode()
            assert logged.finish_reason in ("stop", "length", "content_filter")


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), max_size=4))
def test_no_row_raises_anything_else(rows):
    reads_or_says_why(rows)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SOUND), st.integers(0, 2**31), VALUES), max_size=4))
def test_no_row_with_one_thing_exchanged_raises_anything_else(changes):
    reads_or_says_why(
        exchanged(json.loads(json.dumps(row)), random.Random(seed), value) for row, seed, value in changes
    )


def exchanged(row, chance, value):
    """The row with one thing in it, at any depth, replaced."""
    inside = row
    while True:
        key = chance.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        if not (isinstance(inside[key], dict | list) and inside[key]) or chance.random() < 0.2:
            inside[key] = value
            return row
        inside = inside[key]


def test_json_nested_deeply():
    deep = "[" * 900 + "]" * 900
    with pytest.raises(RecipeError):
        read({"messages": deep, "completion": "a"})
    assert one({"prompt": "a", "completion": "[" * 100_000}).text == "[" * 100_000


EVERY = list(RULES)


@pytest.mark.parametrize(("text", "redacted"), [
    ("Write to ann@example.org", "Write to [EMAIL]"),
    ("<ann.o'brien+x@mail.example.co.uk>, please.", "<[EMAIL]>, please."),
    ("'ann@example.org'.", "'[EMAIL]'."),
    ("jürgen@müller-gmbh.de", "[EMAIL]"),
    ("联系ann@example.org吧", "联系[EMAIL]吧"),
    ("a@example.org b@example.org", "[EMAIL] [EMAIL]"),
    ("+4930123456 on 2024-01-02", "[PHONE] on 2024-01-02"),
    ("+49 30 1234567, +44 (0)20 7946 0958", "[PHONE], [PHONE]"),
    ("+1 (555) 123-4567 +1-555-123-4567", "[PHONE] [PHONE]"),
    ("call (555) 123-4567 or 555.123.4567!", "call [PHONE] or [PHONE]!"),
    ("1-800-555-1234", "[PHONE]"),
    ("Tel.:030 1234567, (030) 1234567, 030/12 34 56 78", "Tel.:[PHONE], [PHONE], [PHONE]"),
    ("01 23 45 67 89 or 01.23.45.67.89", "[PHONE] or [PHONE]"),
    ("020 7946 0958; 06-12345678; 0049 30 1234567; 138 1234 5678", "[PHONE]; [PHONE]; [PHONE]; [PHONE]"),
    ("card 4111 1111 1111 1111 12/27", "card [CARD] 12/27"),
    ("4242424242424242 and 4111-1111-1111-1111", "[CARD] and [CARD]"),
    ("1234 4111 1111 1111 1111", "1234 [CARD]"),
    ("DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX", "[IBAN] BIC COBADEFFXXX"),
    ("IBAN:GB82WEST12345698765432.", "IBAN:[IBAN]."),
    ("NO9386011117947", "[IBAN]"),
    ("from 192.168.1.10.", "from [IP]."),
    ("[2001:db8::1]:443 and fe80::1: down", "[[IP]]:443 and [IP]: down"),
    ("2001:0db8:0000:0000:0000:ff00:0042:8329", "[IP]"),
])  # fmt: skip
def test_personal_data_goes(text, redacted):
    assert Redactor(EVERY)(text) == redacted


@pytest.mark.parametrize("text", [
    "", "a@b", "@example.org", "x = a @ b.T",
    "on 2024-01-02, 01.02.2024 10:30, 01/02/2024 12:34:56, 01-02-24 10, 2024-01-02T03:04:05",
    "$1,234.56 or 1 000 000,00 EUR, 12.000,00, 1.234.567.890",
    "12000 people, 5 000 000 - 6 000 000, 0123456789, 3.14159265358979, 0.1234567890",
    "order 112-3456789-1234567, ORD-2024-00123, AB-0123-456-789, #0123-456-789",
    "ISBN 978-3-16-148410-0, 0-306-40615-2", "pages 100-2000", "-12345678", "2+12345678",
    "4111 1111 1111 1112", "0000 0000 0000 0000", "41111111111111111", "x4111111111111111",
    "DE88 3704 9044", "GB83WEST12345698765432", "SW19 5AE FOR ALL",
    "300.1.1.1", "v1.2.3.4", "1.2.3.4.5", "10:30:45", "00:1a:2b:3c:4d:5e", "std::vector", "x :: Int", "a::b", "::",
])  # fmt: skip
def test_other_things_stay(text):
    redactor = Redactor(EVERY)
    assert redactor(text) == text
    assert not redactor.counts.total()


def test_only_the_rules_that_were_named_and_their_counts():
    redactor = Redactor(["email"], {"employee": r"E-\d{4}", "case": "(?i)case [a-z]+"})
    assert redactor("E-0001 wrote a@example.org about Case xyz") == "[EMPLOYEE] wrote [EMAIL] about [CASE]"
    assert redactor("+49 30 1234567, E-0002") == "+49 30 1234567, [EMPLOYEE]"
    assert redactor.counts == {"employee": 2, "email": 1, "case": 1}


@pytest.mark.parametrize(("rules", "patterns", "words"), [
    (["emial"], {}, "no rule 'emial'. Did you mean 'email'?"),
    ([], {"a": "("}, "a: no regular expression"),
    ([], {"a": "a{99999999999999999999}"}, "a: no regular expression"),
    ([], {"a": "(" * 5000}, "a: no regular expression"),
    ([], {"email": "a"}, "'email' is the name of a rule"),
    ([], {"a]": "a"}, "'a]' is no name"),
])  # fmt: skip
def test_rules_that_cannot_be_used(rules, patterns, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Redactor(rules, patterns)


def test_a_pattern_of_a_user_that_matches_nothing_or_takes_too_long():
    assert Redactor([], {"a": "x*"})("axxb") == "a[A]b"
    slow = Redactor([], {"slow": "(?:a+)+b"})
    assert slow("a" * 5000) == "[SLOW]"  # what cannot be looked through is not passed on
    assert slow.counts == {"slow": 1}


def seconds_for(text):
    began = time.process_time()
    Redactor(EVERY)(text)
    return time.process_time() - began


PIECES = [
    "a", "a@", "a.", "'a", "1 ", "1111 ", "+1", "+1 1 ", "AA11 ", "AA11", "AA11 AAAA AAAA AAAA ", "01 ", "(0", "1.1.", "::",
    "a:", "1:", "0", "A1", "(", "01-01 - ", "555 555 ", "a@a.", "4111 1111 1111 1111 ", "GB82WEST12345698765432 ", "٣", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_hostile_texts_take_no_time(piece):
    for text in (piece * (100_000 // len(piece)), "a@" + piece * (100_000 // len(piece))):
        assert seconds_for(text) < 1 or seconds_for(text) < 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text("aA0159+-.:@/ ()'", max_size=12), min_size=1, max_size=6))
def test_no_text_raises_or_takes_long(pieces):
    piece = "".join(pieces)
    text = (piece * (100_000 // max(len(piece), 1) + 1))[:100_000]
    assert seconds_for(text) < 1 or seconds_for(text) < 1


@given(st.text())
def test_no_text_raises(text):
    Redactor(EVERY, {"own": r"\w+!"})(text)
