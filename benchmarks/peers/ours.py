"""potstill: every answer is stored, then all are read back in order."""

from pathlib import Path
from tempfile import TemporaryDirectory

from work import FOLDER, IN_FLIGHT, PROMPTS, URL, measured

from potstill.models import Request
from potstill.models.complete import Billing, complete
from potstill.models.remote.chat import ChatModel
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store

with TemporaryDirectory() as temporary:
    store = Store(Path(FOLDER or temporary) / "completions.sqlite")
    requests = [Request(str(i), [{"role": "user", "content": prompt}]) for i, prompt in enumerate(PROMPTS)]
    endpoint = Endpoint(url=URL, model="mock", concurrency=IN_FLIGHT)
    measured(lambda: sum(bool(c.text) for c in complete(ChatModel(endpoint), requests, "mock", Billing(store))))
