"""Seeds: one each for data, the teacher's draws and training; a draw depends on its prompt."""

import copy
import json
from collections import Counter

import pytest
import torch
from scipy.stats import chi2

import small
from potstill.models import Request, Sampling
from potstill.models.complete import Billing, complete
from potstill.models.local.chat_template import ChatTemplate
from potstill.models.local.model import LocalModel
from potstill.models.remote.wire import Dialect, request_body
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store, key_function
from potstill.recipe.loading import parse
from potstill.stages.data.synthesize import requests
from small import potstill

PROMPTS = [[{"role": "user", "content": f"Question {i}?"}] for i in range(300)]
DRAWN = Sampling(max_tokens=1, temperature=1.0, seed=7)


def first_token_probabilities(model, tokenizer, prompt):
    with torch.no_grad():
        logits = model(torch.tensor([ChatTemplate(tokenizer).tokens(prompt)])).logits[0, -1]
    return torch.softmax(logits, -1)


def test_sample_4_of_300_prompts_is_drawn_from_each_prompts_own_distribution(tiny, tmp_path):
    """Chi-square over ten groups of ranks: with one random stream for all prompts, nearly all draws have the same rank."""
    model, tokenizer = tiny
    numbers = copy.copy(tokenizer)
    numbers.decode = lambda tokens, **_: " ".join(map(str, tokens))  # single bytes are not all text
    local = LocalModel(lambda: (model, numbers), {"weights": "tiny, decoded to numbers"}, "tiny", batch_size=64)
    sent = [Request(str(i), prompt, DRAWN, sample=4) for i, prompt in enumerate(PROMPTS)]
    completions = list(complete(local, sent, "draws", Billing(Store(tmp_path / "s.sqlite"))))
    observed, expected = torch.zeros(10), torch.zeros(10)
    for prompt, completion in zip(PROMPTS, completions, strict=True):
        probabilities, order = first_token_probabilities(model, tokenizer, prompt).sort(descending=True)
        group_of_rank = torch.arange(len(order)) * 10 // len(order)
        rank = (order == int(completion.text or tokenizer.eos_token_id)).nonzero().item()
        observed[group_of_rank[rank]] += 1
        expected.index_add_(0, group_of_rank, probabilities)
    statistic = float(((observed - expected) ** 2 / expected).sum())
    assert observed.sum() == 300
    assert statistic < chi2.ppf(0.999, 9), (observed, expected)


def test_the_seed_sent_to_a_server_depends_on_prompt_seed_and_sample():
    endpoint = Endpoint(url="http://127.0.0.1:9/v1", model="m")

    def seed(prompt, sampling=DRAWN, sample=0):
        return request_body(endpoint, Request("a", prompt, sampling, sample), Dialect())["seed"]

    assert len({seed(prompt) for prompt in PROMPTS}) == 300
    assert len({seed(PROMPTS[0], sample=sample) for sample in range(50)}) == 50
    assert seed(PROMPTS[0]) == seed([dict(PROMPTS[0][0])])
    assert seed(PROMPTS[0]) != seed(PROMPTS[0], Sampling(max_tokens=1, temperature=1.0, seed=8))
    assert all(0 <= seed(prompt) < 1 << 31 for prompt in PROMPTS)


def test_keys_of_greedy_answers_stay_and_those_of_draws_have_a_new_version():
    """The greedy key is that of commit 672a4dd: answers that were paid for are found again."""
    key = key_function({"engine": "chat-completions", "url": "http://127.0.0.1:9/v1", "model": "m"})
    question = [{"role": "user", "content": "q"}]
    greedy = key(Request("a", question, Sampling(max_tokens=64)))
    assert greedy.hex() == "99a19c21cd71d8fc2168071128284203a0d76a9b9ee6cabf67f86248fbb88989"
    assert (
        key(Request("a", question, Sampling(max_tokens=64, temperature=1.0))).hex()
        != "7ee67e5f2926c361304ebf2aef7792fbbd6fe178cee7cd24c75fc561ef0b0fb1"
    )


@pytest.mark.parametrize("n", [5, 20, 50])
@pytest.mark.parametrize("method", ["new", "harder", "reworded", "renamed", "all"])
def test_synthesis_never_sends_the_same_request_twice(n, method):
    methods = ["new", "harder", "reworded", "renamed"] if method == "all" else [method]
    recipe = parse(
        "name: r\ntask: math\nteacher: {model: packaged/a}\nstudent: {model: packaged/b}\n"
        f"data: {{source: synthesize, n: 500, methods: [{', '.join(methods)}], seeds: {{train: 10}}}}\n"
    )
    seeds = [{"question": f"What is {i} + {i}?"} for i in range(n)]
    sent = [request for request, _ in requests(recipe, recipe.data.synthesis, seeds)]
    key = key_function({})
    assert len(sent) == len({key(request) for request in sent}) == 500
    prompts = Counter(request.messages[0]["content"] for request in sent)
    distinct = {"new": min(500, n * (n - 1) * (n - 2)), "all": 3 * n + min(125, n * (n - 1) * (n - 2))}.get(method, n)
    assert len(prompts) >= 0.9 * distinct
    assert {request.id for request in sent} == {f"new-{i}" for i in range(500)}


def test_seeds_are_separate(work):
    def stale():
        planned = potstill("run", "r.yaml", "--dry-run", "--json", cwd=work)
        return {stage["stage"] for stage in json.loads(planned.stdout) if stage["stale"]}

    def change(old, new):
        text = (work / "r.yaml").read_text()
        assert old in text
        (work / "r.yaml").write_text(text.replace(old, new))

    assert potstill("run", "r.yaml", cwd=work).returncode == 0
    assert not stale()
    change("train: {epochs", "train: {seed: 4, epochs")
    assert stale() == {"train", "report"}
    change("train: {seed: 4, epochs", "train: {seed: 3, epochs")
    assert not stale()
    change("generate: {", "generate: {seed: 4, ")
    assert stale() == {"generate", "report"}
    change("generate: {seed: 4, ", "generate: {seed: 3, ")
    change("data: {source", "data: {seed: 3, source")
    change("\nseed: 3", "\nseed: 9")
    assert stale() == {"report"}
    change("data: {seed: 3", "data: {seed: 4")
    assert stale() >= {"data", "generate", "curate", "evaluate"}


def test_the_seeds_of_a_recipe_are_the_default_of_its_sections():
    text = small.RECIPE.format(url="http://127.0.0.1:9", student="packaged/b")
    recipe = parse(text)
    assert (recipe.data_seed, recipe.generate_seed, recipe.train_seed) == (3, 3, 3)
    recipe = parse(text.replace("train: {epochs", "train: {seed: 0, epochs"))
    assert (recipe.data_seed, recipe.generate_seed, recipe.train_seed) == (3, 3, 0)
