"""Reasoning and template marks in a text, and ends of answers with names of a server's own."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faulty_server import asking, faulty, question, said
from potstill.models import markup, reasoning
from potstill.models.remote import wire
from potstill.models.remote.ends import end_of
from potstill.tasks import Status
from potstill.tasks.registry import parse_task

pytestmark = pytest.mark.usefixtures("short_backoff")

THOUGHT, ANSWER = "It is a tall one.", "Mont Blanc"
REASONING = {
    "think": f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}",
    "upper case, with space": f"\n< THINK >{THOUGHT}</ Think>{ANSWER}",
    "an attribute": f'<thinking depth="2">{THOUGHT}</thinking>{ANSWER}',
    "thought": f"<thought>{THOUGHT}</thought>{ANSWER}",
    "seed": f"<seed:think>{THOUGHT}</seed:think>{ANSWER}",
    "closed by another name": f"<think>{THOUGHT}</thinking>{ANSWER}",
    "an end alone": f"{THOUGHT}\n</think>\n{ANSWER}",
    "an end alone, in brackets": f"{THOUGHT}[/THINK]{ANSWER}",
    "brackets": f"[THINK]{THOUGHT}[/THINK]{ANSWER}",
    "triangles": f"◁think▷{THOUGHT}◁/think▷{ANSWER}",
    "an end alone, in triangles": f"{THOUGHT}◁/think▷{ANSWER}",
    "a channel of Gemma": f"<|channel>thought\n{THOUGHT}<channel|>{ANSWER}",
    "Command": f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
    "solution": f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|><|begin_of_solution|>{ANSWER}<|end_of_solution|>",
    "Granite": f"Here is my thought process:\n{THOUGHT}\nHere is my response:\n{ANSWER}",
    "harmony": f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
    "harmony from its start": f"<|start|>assistant<|channel|>analysis<|message|>{THOUGHT}<|end|>\n<|start|>assistant<|channel|>final <|constrain|>json<|message|>{ANSWER}",
    "harmony opened by the prompt": f"{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
    "harmony without marks": f"analysis{THOUGHT}assistantfinal{ANSWER}",
    "harmony, words alone": f"analysis\n{THOUGHT}\nassistant\nfinal\n{ANSWER}",
}  # fmt: skip
CUT = {
    "think": f"<think>{THOUGHT}", "brackets": f"[THINK]{THOUGHT}", "harmony": f"<|channel|>analysis<|message|>{THOUGHT}",
    "harmony without marks": f"analysis{THOUGHT}", "triangles": f"◁think▷{THOUGHT}",
}  # fmt: skip


@pytest.mark.parametrize("text", REASONING.values(), ids=REASONING.keys())
def test_reasoning_in_any_marks_is_kept_apart(text):
    thoughts, answer = reasoning.split(text)
    assert (thoughts, markup.without_turns(answer)[0]) == (THOUGHT, ANSWER)


@pytest.mark.parametrize("text", CUT.values(), ids=CUT.keys())
def test_reasoning_without_an_end_leaves_no_answer(text):
    assert reasoning.split(text) == (THOUGHT, "")


def test_several_blocks_are_all_reasoning():
    assert reasoning.split("<think>a</think>\n<think>b</think>c") == ("a\n\nb", "c")
    assert reasoning.split("<think>a <think>b</think> c</think>d")[1] == "d"
    assert reasoning.split("analysisA b.assistantcommentaryC d.assistantfinalE") == ("A b.\n\nC d.", "E")
    both = "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>b<|end|><|start|>assistant<|channel|>final<|message|>c"
    assert reasoning.split(both) == ("a\n\nb", "c")


ORDINARY = [
    "Write `<think>` before and `</think>` after it.",
    "The tag </think> closes the block.",
    "R1 ends its thoughts with '</think>' and answers.",
    "```html\n<thinking>aloud</thinking>\n```",
    "Her poem: <thinking>of spring</thinking> goes on.",
    "analysis of the data shows a trend",
    "analysis\nThe data show a trend",
    "assistant professors teach",
    "Here is my list: a, b",
    "A turn ends with <|im_end|> in ChatML, and <|eot_id|> in Llama 3.",
    "Llama 2 needs `[INST]` and `</s>`",
    'prompt = "<|im_start|>user\\n" + q + "<|im_end|>\\n"',
    "```\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n```\nThat is ChatML.",
    "<p>It was <s>10</s> 8 euros</p> or <s>9</s>",
    "[INST] is a mark of Llama 2.",
    "if a < b and c[0] > d: </b>",
    "He wrote <s>twice</s>",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_text_that_speaks_of_marks_stays_as_it_is(text):
    assert reasoning.split(text) == ("", text)
    assert markup.without_turns(text) == (text, False)


LEAKED = [
    "<|im_end|>", "<|endoftext|>", "</s>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|eot|>", "<end_of_turn>", "<eos>", "<turn|>",
    "<|end|>", "<|return|>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "<EOS_TOKEN>", "[EOS]", "[|endofturn|]", "<seed:eos>",
    " <|im_end|>\n<|im_start|>user\nAnd another?<|im_end|>\n<|im_start|>assistant\nYes.", "\n<|im_start|>user\nAnd?",
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd?", "</s><s>[INST] And? [/INST] Yes.", "\n[INST] And? [/INST]",
    "<end_of_turn>\n<start_of_turn>user\nAnd?", "<|end|>\n<|user|>\nAnd?", "<|user|>\nAnd?", "<｜User｜>And?", "<|endoftext|>Human: And?",
    "<|im_end|>\n\n<|endoftext|>", "</s>\n</s>\n", "<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>And?", "<|im_end|><|im_user|>user<|im_middle|>And?",
]  # fmt: skip


@pytest.mark.parametrize("end", LEAKED)
def test_leaked_ends_and_invented_turns_are_cut(end):
    assert markup.without_turns(ANSWER + end) == (ANSWER, True)


@pytest.mark.parametrize("begin", ["<|im_start|>assistant\n", "<|assistant|>\n", "<start_of_turn>model\n", "<s>", "<|start_header_id|>assistant<|end_header_id|>\n\n"])  # fmt: skip
def test_the_head_of_the_answers_own_turn_is_cut(begin):
    assert markup.without_turns(begin + ANSWER) == (ANSWER, True)


def test_cut_marks_are_counted_once_for_all_and_parts_are_read(tmp_path, capsys):
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, {"type": "text", "text": ANSWER}]
    with faulty(lambda body: said(parts if question(body) == "q0" else f"{ANSWER}<|im_end|>")) as server:
        got = server.complete(tmp_path / "s", asking(5))
    assert {c.text for c in got} == {ANSWER}
    assert got[0].reasoning == THOUGHT
    assert (
        "marks of a chat template, or turns that the model invented, are cut from 4 answers" in capsys.readouterr().err
    )


def test_reasoning_in_a_field_and_in_the_text_is_all_kept():
    status, value = said(f"<think>{THOUGHT}</think>{ANSWER}", reasoning_content="First.")
    got = wire.parse_completion(asking(1)[0], status, json.dumps(value).encode())
    assert (got.reasoning, got.text) == (f"First.\n\n{THOUGHT}", ANSWER)


PIECES = st.sampled_from(
    ["<think>", "</think>", "<|im_end|>", "<|im_start|>", "user\n", "`", "```", '"', " ", "\n", "a", ".", "[THINK]", "[/THINK]", "<s>", "</s>",
     "<|channel|>", "analysis", "<|message|>", "final", "<|end|>", "<|start|>assistant", "assistantfinal", "<", "|", ">", "◁think▷", "é"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_no_text_breaks_the_separation(text):
    thoughts, answer = reasoning.split(text)
    cut, leaked = markup.without_turns(answer)
    assert len(thoughts) + len(answer) <= len(text) + 40
    assert leaked or cut == answer


@pytest.mark.parametrize(
    "piece", [*PIECES.elements, "<think><think>", "`<|im_end|>`", "analysis<|message|>", "Here is my thought process:"]
)
def test_long_texts_take_no_time(piece):
    text = piece * (300_000 // len(piece))
    began = time.perf_counter()
    markup.without_turns(text)
    markup.without_turns(reasoning.split("x" + text)[1])
    assert time.perf_counter() - began < 1


ENDS = {
    "stop": ["stop", None, "STOP", "end_turn", "eos", "eos_token", "stop_sequence", "FINISH_REASON_STOP"],
    "length": [
        "length",
        "MAX_TOKENS",
        "max_output_tokens",
        "model_context_window_exceeded",
        "context_length_exceeded",
        "model_length",
    ],
    "content_filter": [
        "content_filter",
        "SAFETY",
        "sensitive",
        "PROHIBITED_CONTENT",
        "content_filter: OTHER",
        "SPII",
        "refusal",
    ],
    "aborted": ["abort", "network_error", "insufficient_system_resource", "error", "cancelled", "INTERNAL_ERROR"],
    "because": ["because"],
    "tool_calls": ["tool_calls"],
    "unknown (int)": [7],
}


@pytest.mark.parametrize(("end", "reason"), [(end, reason) for end, reasons in ENDS.items() for reason in reasons])
def test_only_known_ends_are_good(end, reason):
    assert end_of(reason) == end


def test_an_aborted_answer_is_asked_again_and_an_unknown_end_is_not_finished(tmp_path, capsys):
    seen = set()

    def respond(body):
        if question(body) == "q0" and "q0" not in seen:
            seen.add("q0")
            return said("The total is 4", "abort")
        return said("The total is 40 + 2 = 4", "because") if question(body) == "q1" else said("Answer: 42")

    with faulty(respond) as server:
        got = server.complete(tmp_path / "s", asking(4), concurrency=1)
    assert [c.finish_reason for c in got] == ["stop", "because", "stop", "stop"]
    assert got[0].text == "Answer: 42"
    assert (
        "1 answers ended with 'because', which is no known end: they count as not finished" in capsys.readouterr().err
    )
    parsed = parse_task({"name": "math"}).parse(got[1].text, got[1].finish_reason, {"gold": "42"}, strict=False)
    assert (parsed.status, parsed.answer) == (Status.TRUNCATED, None)
