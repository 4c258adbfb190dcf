import pytest
from hypothesis import settings

import small

settings.register_profile("potstill", deadline=None)  # the first call of a test may import scipy
settings.load_profile("potstill")


@pytest.fixture(scope="module")
def tiny():
    """A small Llama with random weights, and a tokenizer of bytes."""
    return small.tiny_llama()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """The same with room for whole prompts, as a folder of weights."""
    folder = tmp_path_factory.mktemp("tiny")
    small.save_tiny_llama(folder)
    return folder


@pytest.fixture
def short_backoff(monkeypatch):
    """A failed request is retried almost immediately."""
    monkeypatch.setattr("potstill.models.remote.retry.FIRST_BACKOFF_SECONDS", 0.01)
