import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many processes as cores: more threads would only compete with each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

import small

TOGETHER = ("tests/test_end_to_end.py", "tests/test_resume.py", "tests/test_rivals.py", "tests/test_measure_run.py")
"""Files whose tests share a costly run: one process gets all of them. (xdist's ``loadgroup`` has no effect in pytest 9.2,
where it cannot rename tests any more.)"""


class Scheduler(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        file = nodeid.split("::")[0]
        return file if file in TOGETHER else nodeid


def pytest_xdist_make_scheduler(config, log):
    return Scheduler(config, log)


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


@pytest.fixture
def teacher():
    """A chat-completions server."""
    with small.Teacher() as server:
        yield server


@pytest.fixture
def work(tmp_path, teacher, tiny_folder):
    """A folder with a valid recipe, r.yaml, whose teacher is the server."""
    (tmp_path / "r.yaml").write_text(small.RECIPE.format(url=teacher.url, student=tiny_folder))
    return tmp_path
