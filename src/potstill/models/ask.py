"""Open a model, and ask it a list of requests with progress."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill import interrupt
from potstill.errors import PotstillError, RecipeError
from potstill.models import Completion, ErrorKind, Model, Request, packaged, stream
from potstill.progress import progress, say
from potstill.recipe import Endpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CURES = {
    ErrorKind.AUTH: "Check the key, and which variable api_key_env names.",
    ErrorKind.NOT_FOUND: "Check url and model in the recipe.",
    ErrorKind.QUOTA: "Raise the account's limit, then run again.",
    ErrorKind.CONNECTION: "Check that the server runs and that url is right.",
}


def check_source(source: str | Path | Endpoint) -> None:
    """Raises `RecipeError` for a model that cannot be there, without loading or asking it."""
    if isinstance(source, Endpoint):
        from potstill.models.chat import ChatModel

        ChatModel(source)
    elif str(source).startswith("packaged/"):
        packaged.find(str(source).removeprefix("packaged/"))
    elif not str(source).startswith("hf/") and not (Path(source) / "config.json").is_file():
        raise RecipeError(
            f"Model '{source}': no config.json there. Name packaged/NAME, hf/ORG/NAME or a folder of weights."
        )


def open_model(source: str | Path | Endpoint, batch_size: int) -> Model:
    """A model that can be asked. Raises `RecipeError` for one that is not there or whose key is missing."""
    check_source(source)
    if isinstance(source, Endpoint):
        from potstill.models.chat import ChatModel

        return ChatModel(source)
    from potstill.models import weights
    from potstill.models.local import LocalModel

    folder = weights.folder(str(source))

    def load() -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        return weights.load_model(folder), weights.load_tokenizer(folder)

    return LocalModel(load, weights.identity(folder), batch_size=batch_size)


def ask(model: Model, requests: Sequence[Request], name: str) -> list[Completion]:
    """Completions in the order of ``requests``; ``name`` stands before the progress.

    Raises `PotstillError` when an error concerns every request, or one is left that may pass: a server's bad hour must
    count neither as a row that is missing nor as a wrong answer. What was answered is kept.
    """

    async def collect() -> list[Completion]:
        done: dict[tuple[str, int], Completion] = {}
        fatal = None
        with progress(name, len(requests)) as shown:
            async for completion in model.complete(
                stream(itertools.takewhile(lambda _: not interrupt.asked(), requests))
            ):
                done[completion.id, completion.sample] = completion
                if completion.error and completion.error.fatal:
                    fatal = completion
                if completion.cached:
                    shown.give(1)
                else:
                    shown.advance(1, completion.completion_tokens, completion.cost)
        if fatal:
            raise failure(name, list(done.values()), fatal)
        missing = len(done) < len(requests)
        if missing and not interrupt.asked():
            raise failure(name, list(done.values()), next(c for c in done.values() if c.error))
        if missing or (interrupt.asked() and any(c.error and c.error.retried for c in done.values())):
            raise interrupt.Interrupted(
                f"{name}: stopped with {sum(c.error is None for c in done.values())} of {len(requests)} answers, which are kept; "
                "the same command again asks for the others only."
            )
        return [done[r.id, r.sample] for r in requests]

    answers = _run(collect())
    failed = [completion for completion in answers if completion.error]
    if left := [completion for completion in failed if completion.error and completion.error.retried]:
        raise failure(name, answers, left[0])
    if failed:
        kinds = Counter(str(completion.error) for completion in failed)
        say(f"  {name}: {len(failed)} without an answer: " + ", ".join(f"{n} {k}" for k, n in kinds.most_common()))
    return answers


def failure(name: str, answers: Sequence[Completion], example: Completion) -> PotstillError:
    """What to raise when answers are missing; ``example`` is one of those that failed."""
    assert example.error is not None
    answered = sum(completion.error is None for completion in answers)
    return PotstillError(
        f"{name}: {example.error}: {example.detail}. {CURES.get(example.error, '')} {answered} answers came and are kept; "
        "the same command again asks for the others only."
    )


def _run(collecting: Coroutine[Any, Any, list[Completion]]) -> list[Completion]:
    """`asyncio.run`, also where a loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(collecting)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, collecting).result()
