"""Whether the tokenizer and the chat template of a folder of weights can be used, checked once for each folder.

Loading a tokenizer loads torch, which takes seconds; the result of a check is kept beside the downloaded weights.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import PotstillError
from potstill.models.local import packaged

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate

Refusals = dict[tuple[str, ...], str]
"""By the roles of a chat why a template cannot show it, in words; empty where it can."""


def refusals(folder: Path, keywords: Mapping[str, Any]) -> Refusals:
    """What the chat template in ``folder`` refuses of the chats of `chat_template.SHAPES`.

    Raises `PotstillError` where the tokenizer cannot be read, an answer would not end, or the weights lack a token of the
    template, and `RecipeError` for an unknown keyword. These are never kept.
    """
    kept = packaged.cache_folder().parent / "chat-checks" / f"{_digest(folder, keywords)}.json"
    with suppress(OSError, ValueError):  # not there, or damaged
        return {tuple(roles): refusal for roles, refusal in json.loads(kept.read_bytes())}
    from potstill.models.local import loading

    found = _tried(loading.load_chat(folder, keywords), folder)
    _keep(found, kept)
    return found


def _digest(folder: Path, keywords: Mapping[str, Any]) -> str:
    """SHA-256 of what decides the result: files but weights, keywords, this package's code, and the libraries."""
    own = [file for file in folder.iterdir() if file.suffix in (".json", ".jinja", ".model", ".txt")]
    digest = hashlib.sha256(json.dumps(keywords, sort_keys=True).encode())
    for library in ("transformers", "tokenizers", "jinja2"):
        digest.update(f"{library} {version(library)}\n".encode())
    for file in (*sorted(own), *sorted(Path(__file__).parent.glob("*.py"))):
        digest.update(f"{file.name}:{packaged.file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _tried(chat: "ChatTemplate", folder: Path) -> Refusals:
    from potstill.models.local.chat_template import PROBE, SHAPES

    found: Refusals = {shape: chat.refusal(shape) for shape in SHAPES}
    chats = ([{"role": role, "content": PROBE[role]} for role in shape] for shape in SHAPES if not found[shape])
    largest = max([chat.end, *(token for one in chats for token in chat.tokens(one))])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    if size and largest >= size:
        token = chat.tokenizer.convert_ids_to_tokens(largest)
        raise PotstillError(
            f"{folder}: its chat template writes {token!r}, token {largest}, and its weights know {size} tokens. Use the tokenizer "
            "that belongs to the weights, or enlarge their embeddings."
        )
    return found


def _keep(found: Refusals, file: Path) -> None:
    """Written whole or not at all; in a cache folder that cannot be written nothing is kept."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            json.dump(list(found.items()), opened)
        os.replace(name, file)
