"""potstill: every answer in the store, then read back in order."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from work import IN_FLIGHT, PROMPTS, URL, measured

from potstill.models import Request
from potstill.models.complete import complete
from potstill.models.remote.chat import ChatModel
from potstill.models.store.store import Store
from potstill.models.specs import Endpoint

with TemporaryDirectory() as folder:
    store = Store(Path(sys.argv[3] if len(sys.argv) > 3 else folder) / "completions.sqlite")
    requests = [Request(str(i), [{"role": "user", "content": prompt}]) for i, prompt in enumerate(PROMPTS)]
    endpoint = Endpoint(url=URL, model="mock", concurrency=IN_FLIGHT)
    measured(lambda: sum(bool(c.text) for c in complete(ChatModel(endpoint), requests, "mock", store)))
