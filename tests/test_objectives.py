"""What the student learns besides the teacher's text: weights of losses, rationales with a prompt of their own, probabilities."""

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import small
from potstill.errors import PotstillError, RecipeError
from potstill.models.local.chat_template import ChatTemplate
from potstill.pipeline import pipeline
from potstill.recipe import loading as recipe_file
from potstill.stages.train import choosing, teacher
from potstill.stages.train.rows import Collator, rows_of, tokenized
from potstill.stages.train.soft import SoftTargets
from potstill.stages.train.targets import IGNORED, Soft, SummedLoss, Targets
from potstill.workspace.artifacts import CURATED

N, VOCABULARY = 40, 50


def row(question="2 + 2?", completion="4", rationale="Two and two.", **values):
    asked = [{"role": "user", "content": question}]
    return {
        "student_messages": asked, "messages": asked, "completion": completion, "turns": 1, "rationale": rationale, "text": completion,
        "logprobs": "", **values,
    }  # fmt: skip


@pytest.fixture
def recipe_with(tiny_folder):
    """The small recipe with other settings of training, and changes of its text."""

    def recipe_with(training, *changes):
        text = small.RECIPE.format(url="http://127.0.0.1:9", student=tiny_folder).replace(
            "lora: {dropout: 0.1}", training.replace("@", str(tiny_folder))
        )
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        return recipe_file.parse(text)

    return recipe_with


# The loss


def numbers(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(N, VOCABULARY, generator=generator, dtype=torch.float64) * 3
    labels = torch.randint(0, VOCABULARY, (N,), generator=generator)
    p = torch.randn(N, VOCABULARY, generator=generator, dtype=torch.float64).mul(3).log_softmax(-1)
    return logits.requires_grad_(), labels, p


def both(logits, loss):
    (gradient,) = torch.autograd.grad(loss, logits)
    return loss.item(), gradient


def summed(logits, targets):
    copy = logits.detach().float().requires_grad_()
    return both(copy, SummedLoss.apply(copy, targets))


def same(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-4, atol=1e-5)


def test_weights_multiply_the_loss_of_each_token():
    logits, labels, _ = numbers()
    weights = torch.rand(N)
    expected = (cross_entropy(logits, labels, reduction="none") * weights).sum()
    same(summed(logits, Targets(labels, weights)), both(logits, expected))


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_probabilities_of_the_vocabulary_are_the_divergence(weight):
    logits, labels, p = numbers()
    q = logits.log_softmax(-1)
    expected = (1 - weight) * cross_entropy(logits, labels, reduction="sum") + weight * (p.exp() * (p - q)).sum()
    same(summed(logits, Targets(labels, soft=Soft(p.float(), None, weight))), both(logits, expected))


@pytest.mark.parametrize("k", [1, 5, 20, VOCABULARY])
def test_what_is_not_among_the_likeliest_tokens_is_one_outcome(k):
    logits, labels, p = numbers()
    logs, ids = p.topk(k)
    q = logits.log_softmax(-1)
    known = (logs.exp() * (logs - q.gather(1, ids))).sum()
    p_rest = (1 - logs.exp().sum(1)).clamp(min=0)
    q_rest = (1 - q.gather(1, ids).exp().sum(1)).clamp(min=1e-30)
    rest = (torch.xlogy(p_rest, p_rest) - p_rest * q_rest.log()).sum() if k < VOCABULARY else 0
    same(summed(logits, Targets(labels, soft=Soft(logs.float(), ids, 1.0))), both(logits, known + rest))


def test_the_loss_is_least_at_the_teachers_probabilities():
    _, labels, p = numbers()
    logs, ids = p.topk(5)
    loss, gradient = summed(p, Targets(labels, soft=Soft(logs.float(), ids, 1.0)))
    assert loss == pytest.approx(0, abs=1e-4)
    assert gradient.abs().max() < 1e-5


def test_a_token_that_the_teacher_said_nothing_about_has_its_cross_entropy():
    logits, labels, p = numbers()
    logs, ids = p.topk(3)
    logs[::2], ids[::2] = float("-inf"), 0
    logs[1::4, 2] = float("-inf")  # fewer alternatives: a repeated id without probability
    ids[1::4, 2] = ids[1::4, 0]
    some = summed(logits, Targets(labels, soft=Soft(logs.float(), ids, 0.5)))
    expected = cross_entropy(logits[::2], labels[::2], reduction="sum")
    assert not some[1].isnan().any()
    _, gradient = both(logits, expected)
    torch.testing.assert_close(some[1][::2].double(), gradient[::2], rtol=1e-4, atol=1e-5)


# Rows


def decoded(chat, row):
    labelled = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    return chat.tokenizer.decode(row["input_ids"]), chat.tokenizer.decode(labelled)


def test_answer_and_rationale_are_rows_with_prompts_of_their_own(tiny, recipe_with):
    chat = ChatTemplate(tiny[1])
    recipe = recipe_with("joint: {weight: 0.25, prefix: 'Why? '}", ("seed: 3", "seed: 3\ncondition: cot-joint"))
    rows = rows_of(recipe, chat, [row(), row("1 + 1?", "2", rationale="")])
    assert [decoded(chat, one) for one in rows] == [
        ("user:2 + 2?;a:4<end>", "4<end>"), ("user:Why? 2 + 2?;a:Two and two.<end>", "Two and two.<end>"), ("user:1 + 1?;a:2<end>", "2<end>"),
    ]  # fmt: skip
    batch = Collator(0)(rows)
    assert len(batch["weights"]) == (batch["labels"] != IGNORED).sum() == 2 + 13 + 2
    by_row = batch["weights"].split([2, 13, 2])
    assert [part.sum().item() for part in by_row] == pytest.approx([1, 0.25, 1])


def test_tokens_of_the_prompt_have_a_loss_of_their_weight(tiny, recipe_with):
    chat = ChatTemplate(tiny[1])
    (one,) = rows_of(recipe_with("prompt_loss_weight: 0.1"), chat, [row()])
    assert decoded(chat, one) == ("user:2 + 2?;a:4<end>", "ser:2 + 2?;a:4<end>")
    assert Collator(0)([one])["weights"].tolist() == pytest.approx([0.1] * 13 + [1, 1])


# The teacher's probabilities


def written(recipe, chat, curated, folder):
    return teacher.soft_targets(recipe, chat, curated, rows_of(recipe, chat, curated), folder)


@pytest.mark.parametrize("top_k", [3, "all"])
def test_probabilities_of_local_weights(top_k, tiny_folder, recipe_with, tmp_path):
    from potstill.models.local import loading

    chat = loading.load_chat(tiny_folder)
    curated = [row(messages=[{"role": "user", "content": "Think: 2 + 2?"}]), row("1 + 1?", "11")]
    recipe = recipe_with(
        f"kd: {{top_k: {top_k}, teacher: '@'}}", ("concurrency: 4}}", "concurrency: 4}, dtype: float32}")
    )
    soft = written(recipe, chat, curated, tmp_path)
    model = loading.load_model(tiny_folder, "float32")
    asked = tokenized(chat, curated[0] | {"student_messages": curated[0]["messages"]})
    logits = model(torch.tensor([asked["input_ids"]])).logits[0, -3:-1, : len(chat.tokenizer)].log_softmax(-1).detach()
    batch = soft.of([0])
    if top_k == "all":
        torch.testing.assert_close(batch["soft_logs"], logits, rtol=2e-3, atol=2e-3)
    else:
        logs, ids = logits.topk(3)
        assert batch["soft_ids"].tolist() == ids.tolist()
        torch.testing.assert_close(batch["soft_logs"], logs, rtol=1e-4, atol=1e-4)
    assert len(soft.of([0, 1])["soft_logs"]) == 2 + 3
    assert soft.known == 1
    # They are not computed again by training that resumes.
    (tmp_path / teacher.FOLDER / "logs.npy").touch()
    before = (tmp_path / teacher.FOLDER / "logs.npy").stat().st_mtime_ns
    written(recipe, chat, curated, tmp_path)
    assert (tmp_path / teacher.FOLDER / "logs.npy").stat().st_mtime_ns == before


def stored(text, end="<end>", **others):
    """What a server returns for a text, one token for each character; the likeliest is another one at the characters in ``others``."""
    tokens = [[[c, -0.25], *([[others[c], -0.125]] if c in others else [["~", -2.0]])] for c in text]
    return json.dumps([*tokens, *([[[end, -0.5]]] if end else [])])


def test_probabilities_that_a_server_returned(tiny, recipe_with, tmp_path):
    chat = ChatTemplate(tiny[1])
    curated = [row(completion="Sum.\nAnswer: 4", text="Sum.\n#### 4", logprobs=stored("Sum.\n#### 4", S="T"))]
    recipe = recipe_with("kd: {top_k: 2}", ("max_tokens: 64}", "max_tokens: 64, top_logprobs: 2}"))
    soft = written(recipe, chat, curated, tmp_path)
    ids, logs = soft.ids, soft.logs

    def at(place):
        return {
            chat.tokenizer.decode([i]): float(log)
            for i, log in zip(ids[place], logs[place], strict=True)
            if log > -np.inf
        }

    assert at(0) == {"T": -0.125, "S": -0.25}
    assert at(4) == {"\n": -0.25, "~": -2.0}
    assert [at(place) for place in range(5, 11)] == [{}] * 6  # "Answer" is not what the teacher wrote
    assert at(len(logs) - 2) == {"4": -0.25, "~": -2.0}
    assert at(len(logs) - 1) == {"<end>": -0.5}
    assert soft.known == 8 / 15


def test_probabilities_of_another_tokenizer_are_refused(tiny, recipe_with, tmp_path):
    chat = ChatTemplate(tiny[1])
    words = json.dumps([[["Sum", -0.1]], [[" is", -0.1]], [[" four", -0.1]]])
    recipe = recipe_with("kd: {top_k: 1}", ("max_tokens: 64}", "max_tokens: 64, top_logprobs: 2}"))
    for logprobs in (words, ""):
        with pytest.raises(PotstillError, match=r"only 0% of the tokens .* another tokenizer"):
            written(recipe, chat, [row(completion="Sum is four", logprobs=logprobs)], tmp_path / str(len(logprobs)))


def test_a_teacher_of_another_vocabulary_is_refused(tiny, tmp_path, recipe_with):
    small.save_tiny_llama_31(tmp_path / "other")
    recipe = recipe_with(f"kd: {{teacher: {tmp_path / 'other'}}}")
    with pytest.raises(
        RecipeError,
        match=r"vocabulary of the teacher's weights .*other is not the student's: it has 260 tokens, the student 257",
    ):
        written(recipe, ChatTemplate(tiny[1]), [row()], tmp_path)


@pytest.mark.parametrize(
    ("training", "changes", "said"),
    [
        ("kd: {}", [], "needs generate.top_logprobs 20"),
        ("kd: {top_k: all}", [], "top_k all needs train.kd.teacher"),
        ("kd: {teacher: '@'}", [("seed: 3", "seed: 3\ncondition: gold")], "the condition gold trains on others"),
        ("kd: {teacher: '@'}", [("seed: 3", "seed: 3\ncondition: cot-joint")], "kd and the condition cot-joint cannot be combined"),
        ("prompt_loss_weight: 0.1, kd: {teacher: '@'}", [], "kd and prompt_loss_weight cannot be combined"),
        ("kd: {teacher: '@'}, on_policy: {teacher: '@'}", [], "kd and on_policy cannot be combined"),
        ("on_policy: {}", [], "needs local weights of the teacher"),
        ("kd: {weight: 0}", [], "greater than 0"),
    ],
)  # fmt: skip
def test_objectives_that_do_not_fit(training, changes, said, recipe_with):
    with pytest.raises(RecipeError, match=said):
        recipe_with(training, *changes)


def test_opened_probabilities_are_those_that_were_written(tmp_path):
    from potstill.stages.train import soft

    rows = [
        (np.array([[1, 2], [3, 4]]), np.array([[-1.0, -2.0], [-3.0, -4.0]])),
        (np.array([[5, 6]]), np.array([[-5.0, -np.inf]])),
    ]
    assert not soft.is_written(tmp_path)
    soft.write(tmp_path, [2, 1], 2, iter(rows), complete=False)
    assert soft.is_written(tmp_path)
    got = SoftTargets.opened(tmp_path).of([1, 0])
    assert got["soft_ids"].tolist() == [[5, 6], [1, 2], [3, 4]]
    assert got["soft_logs"].tolist() == [[-5.0, -np.inf], [-1.0, -2.0], [-3.0, -4.0]]


# On-policy


def test_the_student_learns_the_teachers_probabilities_of_its_own_answers(recipe_with, tiny_folder, tmp_path):
    """The teacher is the student itself: nothing changes. Another teacher moves the student towards it."""
    from potstill.models.local import loading
    from potstill.stages.train import stage as train
    from potstill.stages.train.student import Checkpoint

    torch.manual_seed(5)
    other = loading.load_model(tiny_folder, "float32")
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    other.save_pretrained(tmp_path / "other")
    loading.load_tokenizer(tiny_folder).save_pretrained(tmp_path / "other")
    ids = torch.tensor([loading.load_chat(tiny_folder).tokens(row()["student_messages"])])

    def divergence(model):
        p, q = (of(ids).logits[0, -1].detach().log_softmax(-1) for of in (other, model))
        return (p.exp() * (p - q)).sum().item()

    before = divergence(loading.load_model(tiny_folder, "float32"))
    for name, moved in ((tiny_folder, False), (tmp_path / "other", True)):
        recipe = recipe_with(f"on_policy: {{teacher: '{name}', beta: 0.0}}, method: full, batch_size: 4")
        epochs, losses = train._fit(
            recipe, tiny_folder, [row(f"{i} + 2?") for i in range(8)], tmp_path / f"work-{moved}"
        )
        after = divergence(Checkpoint(recipe, tiny_folder, (epochs[-1],), (3,)).merged())
        assert (after < 0.9 * before) == moved
        assert losses
    small.save_tiny_llama_31(tmp_path / "llama")
    recipe = recipe_with(f"on_policy: {{teacher: '{tmp_path / 'llama'}'}}")
    with pytest.raises(RecipeError, match="the vocabulary of the teacher's weights"):
        train._fit(recipe, tiny_folder, [row()], tmp_path / "refused")


# Whole runs


class TellsProbabilities(small.Teacher):
    """A teacher that returns the log-probabilities of its tokens, one for each character."""

    def answer(self, body):
        answered = super().answer(body)
        (choice,) = answered["choices"]
        tokens = [*choice["message"]["content"], "<end>"]
        if body.get("logprobs"):
            alternatives = [{"token": "~", "logprob": -3.0}]
            content = [
                {"token": t, "logprob": -0.1, "top_logprobs": [{"token": t, "logprob": -0.1}, *alternatives]}
                for t in tokens
            ]
            choice["logprobs"] = {"content": content}
        return answered


def trained(folder, tiny_folder, training, *changes, up_to="train"):
    """A run of the small recipe with other settings, and its training.json."""
    with TellsProbabilities() as teacher:
        text = small.RECIPE.format(url=teacher.url, student=tiny_folder).replace("lora: {dropout: 0.1}", training)
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        (folder / "r.yaml").write_text(text)
        run = pipeline.start(str(folder / "r.yaml"), folder / "runs")
        pipeline.carry_out(run, up_to)
    return run, run.read_json("training.json")


def test_a_run_learns_rationales_with_a_prompt_of_their_own(tiny_folder, tmp_path):
    run, training = trained(tmp_path, tiny_folder, "joint: {weight: 1.0}", ("seed: 3", "seed: 3\ncondition: cot-joint"))
    kept = [row for row in run.read(CURATED) if row["kept"]]
    assert training["rows"] == len(kept) == 24
    assert all(row["rationale"] and "It is" not in row["completion"] for row in kept)
    assert len(training["loss"]) >= 2 * 2 * 24 // 4 / 2  # two rows of training for each


def test_a_run_learns_the_probabilities_that_the_server_returned(tiny_folder, tmp_path):
    run, training = trained(
        tmp_path, tiny_folder, "kd: {top_k: 2, weight: 1.0}", ("max_tokens: 64}", "max_tokens: 64, top_logprobs: 2}")
    )
    assert training["loss"][-1]["loss"] < training["loss"][0]["loss"]
    assert not run.path("student-checkpoints").exists()
    assert not pipeline.plan(run)[3].stale


def test_a_search_reports_all_rates_and_the_mean_of_epochs(tiny_folder, tmp_path, monkeypatch, capsys):
    settings = "search: {learning_rate: [1.0e-6, 3.0e-3]}, average: 2"
    change = ("learning_rate: 1.0e-3, ", "")
    with pytest.raises(
        RecipeError, match=r"3 have gold: too few to tell learning rates apart\. Set data.validation to 100"
    ):
        trained(tmp_path, tiny_folder, settings, change)
    monkeypatch.setattr(choosing, "ENOUGH", 3)
    _, training = trained(tmp_path, tiny_folder, settings, change)
    assert [of["learning_rate"] for of in training["search"]] == [1e-6, 3e-3]
    assert training["learning_rate"] in (1e-6, 3e-3)
    assert training["average"]["epochs"] == [1, 2]
    said = capsys.readouterr().err
    assert "learning rates by validation score: 1e-06: " in said
    assert "the mean of the weights after epochs 1, 2: " in said
