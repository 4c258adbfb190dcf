"""Ask a model a list of requests through the store, with progress."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from potstill.errors import RecipeError
from potstill.models import Completion, Request, stream
from potstill.models.store import Store, StoredModel
from potstill.recipe import Endpoint


def ask(
    source: str | Endpoint | Path,
    requests: Sequence[Request],
    store: Store,
    *,
    batch_size: int,
    name: str,
    say: Callable[[str], None],
) -> list[Completion]:
    """Completions in the order of ``requests``; says every ten seconds how far it is."""
    if isinstance(source, Endpoint):
        raise RecipeError("Endpoints cannot be asked yet; name packaged/NAME, hf/ORG/NAME or a folder.")
    from potstill.models import weights
    from potstill.models.local import LocalModel

    folder = weights.folder(str(source))
    local = LocalModel(
        weights.load_model(folder), weights.load_tokenizer(folder), weights.identity(folder), batch_size=batch_size
    )

    async def collect() -> list[Completion]:
        done: dict[tuple[str, int], Completion] = {}
        started = last = time.perf_counter()
        tokens = 0
        async for completion in StoredModel(local, store).complete(stream(requests)):
            done[completion.id, completion.sample] = completion
            tokens += 0 if completion.cached else completion.completion_tokens
            now = time.perf_counter()
            if now - last > 10 or len(done) == len(requests):
                last, rate = now, (now - started) / len(done)
                left = rate * (len(requests) - len(done))
                say(
                    f"  {name}: {len(done)} of {len(requests)} rows, {tokens / (now - started):.0f} tokens/s, {left:.0f} s left"
                )
        return [done[r.id, r.sample] for r in requests]

    return asyncio.run(collect())
