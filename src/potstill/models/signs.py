"""Signs, in answers that came as if nothing were, that something is wrong with a server or with a limit."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from potstill.models import Completion, Request

LONG_PROMPT_CHARACTERS = 4000
"""Shorter prompts say nothing about what a server cuts."""
MAX_CHARACTERS_PER_TOKEN = 10
"""No text that people write has more, in any tokenizer of today."""
MIN_PROMPTS = 3
"""Prompts of different lengths with one number of tokens, from which on it is taken for a limit."""
LENGTH_RATIO = 1.1
"""The longest of these prompts is at least so many times as long as the shortest."""
MANY = 0.1
"""Fraction of the answers from which on empty ones are a sign."""
KNOWN_ENDS = ("stop", "length", "content_filter", "refused", "repeating", "")


def what_ails_empty(answers: int, without_room: int, in_reasoning: int) -> str:
    """Why answers are empty, and the field that fixes it; empty where few are.

    without_room: thinking used up the limit on new tokens. in_reasoning: the whole text was returned as reasoning.
    """
    causes = []
    if without_room > MANY * answers:
        causes.append(
            f"{without_room} of {answers} answers are empty because thinking used up the limit on new tokens: raise "
            "'thinking_tokens' of the model (or max_tokens), or turn thinking off with its 'extra_body'"
        )
    if in_reasoning > MANY * answers:
        causes.append(
            f"{in_reasoning} of {answers} answers are empty because the server returned all of their text as reasoning: turn "
            "thinking off with 'extra_body' of the model, such as {chat_template_kwargs: {enable_thinking: false}}, or start the "
            "server without its parser for reasoning"
        )
    return ". ".join(causes)


def empty_cause(text: str, finish_reason: str, reasoning: str, reasoning_tokens: int) -> str:
    """``without_room``, ``in_reasoning``, or empty where a text is not empty or nothing is known."""
    if text.strip():
        return ""
    if finish_reason == "length":
        return "without_room"
    return "in_reasoning" if finish_reason == "stop" and (reasoning or reasoning_tokens) else ""


@dataclass
class Signs:
    """What the answers of one model show, counted as they come."""

    answers: int = 0
    empty: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    """Ends that are not known."""
    leaked: int = 0
    cut_prompts: int = 0
    """Prompts with too few tokens for their length."""
    cut_at: int = 0
    """The number of tokens of one of these."""
    lengths: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By number of tokens: how many long prompts have it, and the characters of the shortest and the longest of them."""

    def watch(self, request: Request, completion: Completion) -> None:
        self.answers += 1
        self.leaked += completion.leaked
        if not completion.text:
            cause = empty_cause("", completion.finish_reason, completion.reasoning, completion.reasoning_tokens)
            self.empty[cause] += 1
        if completion.finish_reason not in KNOWN_ENDS:
            self.ends[completion.finish_reason] += 1
        if completion.finish_reason != "content_filter":
            length = sum([len(message["content"]) for message in request.messages])
            if length > LONG_PROMPT_CHARACTERS:
                self._watch_prompt(length, completion.prompt_tokens)

    def _watch_prompt(self, length: int, tokens: int) -> None:
        if length > MAX_CHARACTERS_PER_TOKEN * tokens:
            self.cut_prompts, self.cut_at = self.cut_prompts + 1, tokens
        n, shortest, longest = self.lengths.get(tokens) or (0, length, length)
        self.lengths[tokens] = [n + 1, min(shortest, length), max(longest, length)]

    def messages(self) -> Iterator[str]:
        """What to tell the user."""
        same = max(self.lengths.items(), key=lambda item: item[1][0], default=(0, [0, 0, 0]))
        tokens, (n, shortest, longest) = same
        at_limit = n if n >= MIN_PROMPTS and longest > LENGTH_RATIO * shortest else 0
        if self.cut_prompts or at_limit:
            n, tokens = max((at_limit, tokens), (self.cut_prompts, self.cut_at))
            yield (
                f"the server seems to cut prompts: it counts {tokens} tokens in {n} long prompts, too few for their length. The "
                "answers are about the rest of the prompt. Raise the server's context (OLLAMA_CONTEXT_LENGTH or num_ctx of Ollama, "
                "--ctx-size of llama.cpp, --max-model-len of vLLM, 'context' of {serve: ...})"
            )
        if cause := what_ails_empty(self.answers, self.empty["without_room"], self.empty["in_reasoning"]):
            yield cause
        if self.leaked:
            yield f"marks of a chat template, or turns that the model invented, are cut from {self.leaked} answers"
        for name, count in self.ends.most_common():
            yield f"{count} answers ended with '{name}', which is no known end: they count as not finished"

    def counts(self) -> Mapping[str, int]:
        """What goes into the manifest, without noughts."""
        counts = {
            "template_marks_cut": self.leaked,
            "prompts_cut_by_server": self.cut_prompts,
            **{f"ended with {k}": n for k, n in self.ends.items()},
        }
        return {name: n for name, n in counts.items() if n}
