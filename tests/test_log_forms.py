"""Rows of logs become questions with answers, whatever their format; unusable rows are counted or named."""

import json
from collections import Counter

import pytest

from log_rows import (
    ANSWERED,
    ASK,
    CALL,
    CLAUDE,
    CONVERSE,
    EVENTS,
    GENERATION,
    LLAMA,
    META,
    REQUEST,
    RESPONDED,
    USER,
    bedrock,
    chat,
    claude,
    converse,
    one,
    read,
    responded,
    thought,
    written,
)
from potstill.data.logs import LoggedAnswer
from potstill.errors import RecipeError


@pytest.mark.parametrize(("row", "logged"), [
    ({"request": REQUEST, "response": chat()}, ANSWERED),
    ({"id": 7, "request": {"headers": {}, "body": REQUEST}, "response": {"status_code": 200, "body": chat()}}, ANSWERED),
    ({"request": json.dumps(REQUEST), "response": json.dumps(chat())}, ANSWERED),  # cells of a table
    ({"request": REQUEST, "response": '{"label": "A"}'}, LoggedAnswer("1", ASK, '{"label": "A"}', "gpt-4o")),
    ({"response_id": "r", "response_status": 200, "request_body": REQUEST, "response_body": chat()}, ANSWERED),  # Helicone
    ({"input": REQUEST, "output": chat(), "tags": {}}, ANSWERED),  # OpenPipe
    (  # LiteLLM
        {
            "id": "lite-1", "call_type": "acompletion", "status": "success", "error_str": None, "model": "gpt-4o",
            "prompt_tokens": 5, "completion_tokens": 1, "messages": ASK, "model_parameters": {},
            "response": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}}], "model": None},
        },
        LoggedAnswer("lite-1", ASK, "4", "gpt-4o", "stop", 5, 1),
    ),
    ({"request": {"model": "gpt-4.1", "instructions": "Be brief.", "input": "What is 2+2?"}, "response": responded()}, RESPONDED),
    ({"request_body": {"input": [{"role": "developer", "content": "Be brief."}, {"type": "reasoning", "summary": []}, {
        "role": "user", "content": [{"type": "input_text", "text": "What is 2+2?"}]}]}, "response_body": responded()}, RESPONDED),
    ({**responded(), "input": USER}, RESPONDED),
    ({"messages": ASK, "response": chat()}, ANSWERED),
    ({"id": "x", "messages": ASK, "completion": "4", "model": "m"}, LoggedAnswer("x", ASK, "4", "m")),
    ({"messages": ASK, "completion": '{"choices": [{"message": {}}]}'}, LoggedAnswer("1", ASK, '{"choices": [{"message": {}}]}')),
    ({"messages": [*ASK, {"role": "assistant", "content": "4"}]}, LoggedAnswer("1", ASK, "4")),
    ({"messages": json.dumps(ASK), "completion": "4"}, LoggedAnswer("1", ASK, "4")),
    ({"request": {"messages": [{"role": "developer", "content": "Be brief."}, *USER]}, "response": chat()}, ANSWERED),
    (
        {"request": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
         "response": chat([{"type": "text", "text": "4"}, {"type": "text", "text": "!"}])},
        LoggedAnswer("chatcmpl-1", [{"role": "user", "content": "a\nb"}], "4!", "gpt-4o-2024-08-06", "stop", 24, 15),
    ),
    ({"messages": ASK, "response": claude({"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "4"})},
     LoggedAnswer("msg_bdrk_01", ASK, "4", "claude-3-5-sonnet-20240620", "stop", 20, 5, "Hm.")),
    ({"prompt": "What is 2+2?", "completion": "4"}, LoggedAnswer("1", USER, "4")),
    ({"id": 12, "system": "Be brief.", "prompt": "What is 2+2?", "completion": 4}, LoggedAnswer("12", ASK, "4")),
    ({"input": "What is 2+2?", "output": "4", "finish_reason": "length"}, LoggedAnswer("1", USER, "4", "", "length")),
    ({"instruction": "What is 2+2?", "response": "4"}, LoggedAnswer("1", USER, "4")),
    ({"instruction": "What is 2+2?", "input": "", "output": "4"}, LoggedAnswer("1", USER, "4")),
    ({"instruction": "Add.", "input": "2 2", "output": "4"}, LoggedAnswer("1", [{"role": "user", "content": "Add.\n\n2 2"}], "4")),
    ({"instruction": "Who?", "context": "Ann.", "response": "Ann", "category": "qa"},
     LoggedAnswer("1", [{"role": "user", "content": "Who?\n\nAnn."}], "Ann")),
    ({"system": '{"a": 1}', "prompt": '{"b": 2}', "completion": '{"c": 3}'},
     LoggedAnswer("1", [{"role": "system", "content": '{"a": 1}'}, {"role": "user", "content": '{"b": 2}'}], '{"c": 3}')),
    (bedrock({"prompt": '{"b": 2}'}, GENERATION),
     LoggedAnswer("ff4b6c63", [{"role": "user", "content": '{"b": 2}'}], "4", META, "stop", 15, 12)),
    ({"prompt": "\ud800?", "completion": "a\udfff"}, LoggedAnswer("1", [{"role": "user", "content": "??"}], "a?")),
    (bedrock(CONVERSE, converse({"text": "4"}), "Converse"), LoggedAnswer("ff4b6c63", ASK, "4", META, "stop", 15, 12)),
    (
        bedrock(CONVERSE, converse({"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "4"}, stop="max_tokens"),
                "ConverseStream", "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.amazon.nova-lite-v1:0"),
        LoggedAnswer("ff4b6c63", ASK, "4", "us.amazon.nova-lite-v1:0", "length", 15, 12, "Hm."),
    ),
    (bedrock(CONVERSE, converse({"text": "No."}, stop="guardrail_intervened"), "Converse"),
     LoggedAnswer("ff4b6c63", ASK, "No.", META, "content_filter", 15, 12)),
    (bedrock(CLAUDE, claude({"type": "text", "text": "4"}), model="anthropic.claude-3-5-sonnet-20240620-v1:0"),
     LoggedAnswer("ff4b6c63", ASK, "4", "anthropic.claude-3-5-sonnet-20240620-v1:0", "stop", 15, 12)),
    (bedrock(CLAUDE, EVENTS, "InvokeModelWithResponseStream"),
     LoggedAnswer("ff4b6c63", ASK, "It is 4", META, "length", 15, 12, "Two and two.")),
    (bedrock(json.dumps(CLAUDE), json.dumps(EVENTS)),
     LoggedAnswer("ff4b6c63", ASK, "It is 4", META, "length", 15, 12, "Two and two.")),
    (bedrock(LLAMA, GENERATION), LoggedAnswer("ff4b6c63", ASK, "4", META, "stop", 15, 12)),
    (bedrock({"prompt": "What is 2+2?"}, GENERATION), LoggedAnswer("ff4b6c63", USER, "4", META, "stop", 15, 12)),
    (bedrock(LLAMA, [{"generation": "It is", "stop_reason": None}, {"generation": " 4", "stop_reason": "length"}],
             "InvokeModelWithResponseStream"), LoggedAnswer("ff4b6c63", ASK, "It is 4", META, "length", 15, 12)),
])  # fmt: skip
def test_each_format_is_parsed(row, logged):
    assert one(row) == logged


@pytest.mark.parametrize(("answer", "expected"), [
    (chat(finish_reason="length"), ("4", "length", "")),
    (chat(finish_reason="content_filter"), ("4", "content_filter", "")),
    (chat(finish_reason=None), ("4", "stop", "")),
    (chat(finish_reason="model_context_window_exceeded"), ("4", "length", "")),
    (chat(finish_reason="half_done"), ("4", "half_done", "")),
    (chat("4<|im_end|>\n<|im_start|>user\nAnd 3+3?"), ("4", "stop", "")),
    (chat(None, refusal="I cannot."), ("I cannot.", "refused", "")),
    (chat(reasoning_content="Hm."), ("4", "stop", "Hm.")),
    (chat(reasoning="Hm."), ("4", "stop", "Hm.")),
    (chat("<think>Hm.</think>\n4"), ("4", "stop", "Hm.")),
    (responded(thought("Hm."), written({"type": "output_text", "text": "4"})), ("4", "stop", "Hm.")),
    (responded(written({"type": "refusal", "refusal": "I cannot."})), ("I cannot.", "refused", "")),
    (responded(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), ("4", "length", "")),
])  # fmt: skip
def test_finish_reason_and_reasoning_of_an_answer(answer, expected):
    logged = one({"messages": ASK, "response": answer})
    assert (logged.text, logged.finish_reason, logged.reasoning) == expected


IMAGE = {"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "x"}}]}
TOOL = {"role": "tool", "tool_call_id": "call_1", "content": "4"}


@pytest.mark.parametrize(("row", "reason"), [
    ({"messages": ASK, "response": chat(None, "tool_calls", tool_calls=[CALL])}, "tool calls"),
    ({"messages": ASK, "response": chat("4", "tool_calls")}, "tool calls"),
    ({"messages": [*ASK, {"role": "assistant", "content": None, "tool_calls": [CALL]}, TOOL], "response": chat()}, "tool calls"),
    (bedrock(CONVERSE, converse({"text": "a"}, {"toolUse": {"name": "add"}}, stop="tool_use")), "tool calls"),
    (bedrock(CLAUDE, [*EVENTS[:9], {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use"}}]),
     "tool calls"),
    ({"messages": ASK, "response": responded({"type": "function_call", "name": "add", "arguments": "{}"})}, "tool calls"),
    ({"request": {"input": "And 3?", "previous_response_id": "resp_0"}, "response": responded()}, "without the earlier turns"),
    ({"messages": ASK, "response": responded(status="failed")}, "failed requests"),
    ({"messages": [IMAGE], "response": chat()}, "images or files"),
    (bedrock({"messages": [{"role": "user", "content": [{"document": {"name": "a"}}]}]}, converse({"text": "a"})),
     "images or files"),
    ({"request": REQUEST, "response": {"status_code": 429, "body": {"error": {"message": "slow"}}}}, "failed requests"),
    ({"request": REQUEST, "response": {"error": {"message": "slow"}}}, "failed requests"),
    ({"response_status": 500, "request_body": REQUEST, "response_body": {}}, "failed requests"),
    ({"messages": ASK, "response": None, "status": "failure", "error_str": "slow"}, "failed requests"),
    (bedrock(CLAUDE, None, errorCode="ThrottlingException"), "failed requests"),
    (bedrock(CLAUDE, EVENTS[:9]), "failed requests"),  # the stream was interrupted
    ({"messages": ASK, "response": chat(" \n")}, "empty answers"),
    ({"messages": ASK, "completion": None}, "empty answers"),
    ({"messages": ASK, "response": chat("<think>Hm", "length")}, "empty answers"),
    ({"prompt": "a", "completion": ""}, "empty answers"),
    ({"prompt": " ", "completion": "a"}, "empty questions"),
    ({"messages": [*USER, {"role": "assistant", "content": "It is"}], "completion": " 4"}, "prefilled answers"),
    (bedrock({"inputText": "a"}, {"embedding": [0.1], "inputTextTokenCount": 1}), "embeddings"),
    (bedrock(None, EVENTS), "without text"),
    (bedrock({"inputText": "a"}, {"results": [{"outputText": "b"}]}), "from models of unknown format"),
])  # fmt: skip
def test_unusable_rows_are_counted(row, reason):
    left_out = Counter()
    assert len(read(row, {"messages": ASK, "response": chat()}, left_out=left_out)) == 1
    assert left_out == {reason: 1}


def test_left_out_rows_are_counted_by_reason():
    calls, left_out = {"messages": ASK, "response": chat(None, "tool_calls", tool_calls=[CALL])}, Counter()
    assert read(calls, {"prompt": "a", "completion": "b", "error": "lost"}, calls, left_out=left_out) == []
    assert left_out == {"tool calls": 2, "failed requests": 1}
    nothing = Counter()
    read({"prompt": "a", "completion": "b"}, left_out=nothing)
    assert nothing == {}


@pytest.mark.parametrize(("row", "parts"), [
    ({"question": "a", "label": 1}, ["unknown format", "Expected", "'messages'", "question, label"]),
    ({}, ["unknown format", "no keys"]),
    ({"messages": USER}, ["there is no answer", "keys are messages"]),
    ({"instruction": "a", "output": "b", "history": [["c", "d"]]}, ["'history' is not supported"]),
    ({"messages": [{"role": "narrator", "content": "a"}], "completion": "b"}, ["role 'narrator'", "system, user, assistant"]),
    ({"messages": ["a"], "completion": "b"}, ["a message that is not an object"]),
    ({"request": REQUEST, "response": {"choices": []}}, ["answer is of an unknown format", "keys are choices"]),
    ({"request": {"model": "m"}, "response": chat()}, ["neither 'messages' nor 'prompt'", "keys are model"]),
    (bedrock(CLAUDE, None) | {"output": {"outputBodyS3Path": "s3://b/k", "outputBodyJson": None}},
     ["its output is in S3 (s3://b/k)", "output.outputBodyJson"]),
])  # fmt: skip
def test_a_row_of_unknown_format_is_refused(row, parts):
    with pytest.raises(RecipeError) as raised:
        read({"prompt": "a", "completion": "b"}, row)
    for part in ["log.jsonl, line 2: ", *parts]:
        assert part in str(raised.value)


def test_ids_are_unique():
    rows = [{"id": id, "prompt": "a", "completion": "b"} for id in ("a", "a-2", "a", "a", None, "5", "5")]
    assert [logged.id for _, logged in read(*rows)] == ["a", "a-2", "a-3", "a-4", "5", "5-2", "5-3"]
