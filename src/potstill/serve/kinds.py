"""The two engines: their command lines, and what their APIs call things."""

import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, ClassVar

from potstill import processor
from potstill.errors import RecipeError
from potstill.models.served import llama_server
from potstill.models.served.launch import llama_command, vllm_command
from potstill.models.served.process import ENVIRONMENT
from potstill.serve.prompt import Logprob, Prompt

HUGE_PAGES: Mapping[str, str] = MappingProxyType({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"})
"""Ask Linux for pages of 2 MiB: each step reads all weights, and the processor finds few of their 4 KiB pages in its tables."""


class Kind(ABC):
    """An engine with OpenAI's older completions API, which takes token ids."""

    name: ClassVar[str]
    loads_into_memory: ClassVar[bool]
    """Whether weights and cache are in the machine's memory, and not in a GPU's."""

    @abstractmethod
    def check(self) -> None:
        """Raises `RecipeError` where it is not installed."""

    @abstractmethod
    def command(self, weights: str, slots: int, context: int, port: int) -> Sequence[str]:
        """The command line that serves ``weights`` to ``slots`` requests at once, each with ``context`` tokens."""

    @abstractmethod
    def environment(self, key: str) -> Mapping[str, str]:
        """Environment variables; its requests must carry ``key``."""

    @abstractmethod
    def fields(self, prompt: Prompt, ends: Sequence[int]) -> dict[str, Any]:
        """The fields of a request that are its own; ``ends`` are the tokens that end a turn."""

    @abstractmethod
    def logprobs(self, found: Mapping[str, Any], wanted: int) -> Sequence[Logprob]:
        """The log-probabilities of a choice, with ``wanted`` alternatives."""

    def timing(self, body: Mapping[str, Any]) -> float:
        """Seconds from the start of its work to the first token, of an answer that came at once; 0 where it does not say."""
        return 0.0


class LlamaCpp(Kind):
    """llama.cpp: it knows from the GGUF file which tokens end a turn."""

    name = "llama.cpp"
    loads_into_memory = True

    def __init__(self, arguments: Sequence[str] | None = None) -> None:
        self._arguments = arguments

    @property
    def arguments(self) -> Sequence[str]:
        """Arguments of `potstill.models.served.llama_server`. Prompts other than those in the slots are not stored: each answer
        would pay for the copy. Weights are copied, because a mapped file cannot be in huge pages (`HUGE_PAGES`)."""
        if self._arguments is not None:
            return self._arguments
        return [
            f"--threads={processor.cores()}", "--flash-attention=enabled", "--stored-prompts-mib=0", "--copy-weights",
        ]  # fmt: skip

    def check(self) -> None:
        if find_spec("xllamacpp") is None:
            raise RecipeError("Serving a GGUF file needs xllamacpp: pip install 'potstill[llama-cpp]'.")

    def command(self, weights: str, slots: int, context: int, port: int) -> Sequence[str]:
        return llama_command(weights, port, slots, context, self.arguments)

    def environment(self, key: str) -> Mapping[str, str]:
        return {**ENVIRONMENT, **HUGE_PAGES, llama_server.KEY: key}

    def fields(self, prompt: Prompt, ends: Sequence[int]) -> dict[str, Any]:
        fields: dict[str, Any] = {"cache_prompt": prompt.cached, "samplers": ["top_k"], "top_k": 1}
        if prompt.temperature > 0:
            fields = {"cache_prompt": prompt.cached, "samplers": ["temperature", "top_p"], "top_k": 0, "min_p": 0.0}
        if prompt.top_logprobs is not None:
            fields["logprobs"] = max(prompt.top_logprobs, 1)
        if prompt.schema is not None:
            fields["json_schema"] = prompt.schema
        return fields

    def logprobs(self, found: Mapping[str, Any], wanted: int) -> Sequence[Logprob]:
        return [_entry(one, one["top_logprobs"][:wanted]) for one in found.get("content") or ()]

    def timing(self, body: Mapping[str, Any]) -> float:
        return float((body.get("timings") or {}).get("prompt_ms") or 0.0) / 1000


class Vllm(Kind):
    """vLLM: the tokens that end a turn are in each request, whatever the folder's generation config says."""

    name = "vllm"
    loads_into_memory = False

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = arguments

    def check(self) -> None:
        if shutil.which("vllm") is None:
            raise RecipeError("There is no vllm on the PATH; see https://docs.vllm.ai for its installation.")

    def command(self, weights: str, slots: int, context: int, port: int) -> Sequence[str]:
        own = ["--generation-config=vllm", "--enable-prefix-caching", *self.arguments]
        return vllm_command(weights, port, slots, context, own)

    def environment(self, key: str) -> Mapping[str, str]:
        return {"VLLM_API_KEY": key}

    def fields(self, prompt: Prompt, ends: Sequence[int]) -> dict[str, Any]:
        fields: dict[str, Any] = {"stop_token_ids": list(ends)}
        if not prompt.cached:
            fields["cache_salt"] = secrets.token_hex(8)  # blocks of another salt are other blocks
        if prompt.top_logprobs is not None:
            fields["logprobs"] = prompt.top_logprobs
        if prompt.schema is not None:
            schema = {"name": "answer", "schema": prompt.schema}
            fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        return fields

    def logprobs(self, found: Mapping[str, Any], wanted: int) -> Sequence[Logprob]:
        tops = found.get("top_logprobs") or [{}] * len(found["tokens"])
        return [
            _entry(
                {"token": token, "logprob": logprob},
                [{"token": one, "logprob": value} for one, value in list((top or {}).items())[:wanted]],
            )
            for token, logprob, top in zip(found["tokens"], found["token_logprobs"], tops, strict=True)
        ]


def _entry(token: Mapping[str, Any], top: Sequence[Mapping[str, Any]]) -> Logprob:
    """One token as OpenAI's chat API writes it."""

    def one(of: Mapping[str, Any]) -> dict[str, Any]:
        given = of.get("bytes")
        as_bytes = list(of["token"].encode()) if given is None else given
        return {"token": of["token"], "logprob": of["logprob"], "bytes": as_bytes}

    return one(token) | {"top_logprobs": [one(other) for other in top]}
