"""Rows of logs in the formats that `potstill.data.logs` cites, and helpers to parse them."""

from collections import Counter

from potstill.data import logs
from potstill.data.logs import LoggedAnswer

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2+2?"}]
USER = [{"role": "user", "content": "What is 2+2?"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def chat(text="4", finish_reason="stop", id="chatcmpl-1", **message):
    """A chat completion of OpenAI's API."""
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
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    message |= {"content": [{"type": "output_text", "text": "4", "annotations": []}]}
    return {
        "id": "resp_1", "object": "response", "created_at": 1741476777, "status": "completed", "error": None,
        "incomplete_details": None, "instructions": "Be brief.", "model": "gpt-4.1-2025-04-14", "output": [*(items or [message])],
        "usage": {"input_tokens": 36, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 8, "total_tokens": 44},
    } | more  # fmt: skip


def thought(text):
    return {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


def written(part):
    return {"type": "message", "role": "assistant", "content": [part]}


REQUEST = {"model": "gpt-4o", "messages": ASK, "temperature": 0}
RESPONDED = LoggedAnswer("resp_1", ASK, "4", "gpt-4.1-2025-04-14", "stop", 36, 8)
ANSWERED = LoggedAnswer("chatcmpl-1", ASK, "4", "gpt-4o-2024-08-06", "stop", 24, 15)


def batch_request(id, question="What is 2+2?"):
    """A line of a batch input file."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}], "max_tokens": 1000}
    return {"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def answered(id, text="4", status=200):
    """A line of a batch output file."""
    response = {"status_code": status, "request_id": f"req_{id}", "body": chat(text)}
    return {"id": f"batch_req_{id}", "custom_id": id, "response": response, "error": None}


def expired(id):
    return {
        "id": f"batch_req_{id}",
        "custom_id": id,
        "response": None,
        "error": {"code": "batch_expired", "message": "-"},
    }


def bedrock(request, response, operation="InvokeModel", model="meta.llama3-1-70b-instruct-v1:0", **more):
    return {
        "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2025-03-11T00:38:02Z",
        "accountId": "123456789012", "identity": {"arn": "arn:aws:iam::123456789012:user/ann"}, "region": "us-east-1",
        "requestId": "ff4b6c63", "operation": operation, "modelId": model,
        "input": {"inputContentType": "application/json", "inputBodyJson": request, "inputTokenCount": 15},
        "output": {"outputContentType": "application/json", "outputBodyJson": response, "outputTokenCount": 12},
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


def read(*rows, left_out=None):
    """The answers of these rows; ``left_out``, where given, counts the others by reason."""
    counted = Counter() if left_out is None else left_out
    return list(logs.parse(((f"log.jsonl, line {n}", row) for n, row in enumerate(rows, 1)), counted))


def one(row):
    [(location, logged)] = read(row)
    assert location == "log.jsonl, line 1"
    return logged
