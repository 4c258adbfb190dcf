"""The next token is chosen where the logits are, and is the same in each number format that holds them."""

from unittest import mock

import pytest
import torch

from potstill.models import Request, Sampling
from potstill.models.local.decoding import Batch, prefill_prefix
from potstill.models.local.model import _next_tokens, _random_generator, _Row


def row(temperature=0.0, seed=1):
    request = Request("a", [{"role": "user", "content": "q"}], Sampling(temperature=temperature, seed=seed))
    return _Row(request, [1], 8, _random_generator(request))


class OnDevice:
    """Logits [rows, vocabulary] on a GPU, as far as the choice of tokens may use them; ``moved`` are the rows that leave it."""

    device = torch.device("cuda")

    def __init__(self, logits):
        self.logits, self.moved = logits, []

    def argmax(self, dim):
        return self.logits.argmax(dim)

    def __getitem__(self, i):
        self.moved.append(i)
        return self.logits[i]


@pytest.fixture
def logits():
    """In bfloat16, of which many are equal."""
    return torch.randn(6, 4000, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)


def test_only_the_logits_of_drawn_rows_leave_the_device(logits):
    rows = [row(), row(1.0), row(), row(0.5), row(), row()]
    seen = OnDevice(logits)
    chosen = _next_tokens(seen, rows)
    assert seen.moved == [1, 3]
    again = [row(), row(1.0), row(), row(0.5), row(), row()]
    assert (
        chosen
        == _next_tokens(logits, again)
        == _next_tokens(logits.float(), [row(), row(1.0), row(), row(0.5), row(), row()])
    )


def test_greedy_tokens_are_the_first_of_equal_maxima_in_both_number_formats(logits):
    coarse = (logits * 2).round().to(torch.bfloat16)
    assert (coarse == coarse.amax(-1, keepdim=True)).sum() > len(coarse)
    first = [values.index(max(values)) for values in coarse.tolist()]
    greedy = [row() for _ in coarse]
    assert _next_tokens(coarse, greedy) == _next_tokens(coarse.float(), greedy) == first
    assert _next_tokens(OnDevice(coarse), greedy) == first


def test_a_batch_leaves_its_logits_where_and_as_the_model_computed_them(tiny):
    model = tiny[0].to(torch.bfloat16)
    try:
        batch = Batch(model, prefill_prefix(model, []), 2)
        with mock.patch.object(torch.Tensor, "cpu", side_effect=AssertionError("moved")):
            assert [batch.prefill([[5, 6], [7]]).dtype, batch.step([1, 2]).dtype] == [torch.bfloat16] * 2
    finally:
        model.float()
