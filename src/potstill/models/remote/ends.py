"""How a server says that an answer ended: only ends known to be good count as finished."""

import re
from typing import Any

STOP = "stop"
LENGTH = "length"
CONTENT_FILTER = "content_filter"
REFUSED = "refused"
"""The model's own refusal, in a field of its own."""
ABORTED = "aborted"
"""Not an end: the server gave up, and the same request may succeed later."""
MAX_NAME_CHARACTERS = 40
_NAMES = {
    STOP: """stop stopped end_turn end_of_turn eos eos_token end_of_text stop_sequence stop_sequences stop_token complete completed
        finish finished done""",
    LENGTH: """length max_tokens max_output_tokens max_new_tokens max_completion_tokens max_length model_length token_limit
        token_limit_reached context_length context_length_exceeded context_window context_window_exceeded model_context_window_exceeded
        max_context_length max_tokens_reached length_limit incomplete""",
    CONTENT_FILTER: """content_filter content_filtered content_blocked content_policy content_policy_violation filtered filter safety
        image_safety recitation blocklist prohibited_content spii sensitive refusal guardrail guardrail_intervened guardrails blocked
        moderation moderated flagged risk violation model_armor data_inspection_failed""",
    ABORTED: """abort aborted cancel cancelled canceled error errored failed failure network_error insufficient_system_resource
        insufficient_system_resources server_error internal_error internal_server_error engine_error overloaded timeout timed_out
        interrupted preempted unavailable service_unavailable connection_error malformed_response""",
}  # fmt: skip
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_WORDS = re.compile(r"[a-z0-9]+")


def end_of(reason: Any) -> str:
    """`STOP`, `LENGTH`, `CONTENT_FILTER`, `ABORTED`, or the server's own name of an end that is not known.

    A server that gives no reason has finished: it would have to give one otherwise.
    """
    if reason == STOP or reason is None:
        return STOP
    if isinstance(reason, dict):  # of TensorRT-LLM and others
        reason = reason.get("type") or reason.get("reason")
    if not isinstance(reason, str):
        return f"unknown ({type(reason).__name__})"
    name = _normal(reason)
    if kind := _KINDS.get(name):
        return kind
    first = _normal(re.split(r"[:(]", reason, maxsplit=1)[0])  # "content_filter: PROHIBITED_CONTENT"
    if kind := _KINDS.get(first.removeprefix("finish_reason_")) or _KINDS.get(name.removeprefix("finish_reason_")):
        return kind
    shown = "".join(c for c in reason if c.isprintable())[:MAX_NAME_CHARACTERS]
    return shown.encode("utf-8", "replace").decode() or STOP


def _normal(reason: str) -> str:
    return "_".join(_WORDS.findall(reason[:200].lower()))
