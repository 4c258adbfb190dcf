"""The loss of base and student on the teacher's answers to test questions, from a whole run with tiny weights."""

import json
import random
from math import isclose

import pyarrow.parquet as pq
import pytest
import torch

import small
from potstill import stats
from potstill.models.local import loading
from potstill.recipe import loading as recipe_file
from potstill.stages.evaluate.held_out import compared, held_out
from potstill.stages.evaluate.summary import Evaluated
from potstill.workspace import artifacts
from potstill.workspace.run import Run


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run whose teacher is asked the test questions as it was asked for training data, and the number of requests to it."""
    folder = tmp_path_factory.mktemp("held-out")
    small.save_tiny_llama(folder / "tiny")
    with small.Teacher() as teacher:
        text = small.RECIPE.format(url=teacher.url, student=folder / "tiny")
        text = text.replace("teacher-direct", "teacher-cot-fewshot").replace("1.0e-3", "3.0e-3")
        (folder / "small.yaml").write_text(text.replace("max_tokens: 8}", "max_tokens: 8, dtype: float32}"))
        run = small.potstill("run", "small.yaml", cwd=folder)
        assert run.returncode == 0, run.stderr
        requests = teacher.seen.total()
    return folder, folder / "runs" / "small", requests


def rows_of(run, split):
    """The prompts of the student and the teacher's answers to a split, from the files of the run."""
    examples = {row["id"]: row for row in pq.read_table(run / "examples.parquet").to_pylist()}
    answers = pq.read_table(run / "predictions/teacher-cot-fewshot.parquet").to_pylist()
    return [(examples[row["id"]], row["text"]) for row in answers if examples[row["id"]]["split"] == split]


def by_hand(folder, rows):
    """The loss of each row by the library's own cross-entropy, summed over the completion and its end token."""
    model, tokenizer = loading.load_model(folder, "float32"), loading.load_tokenizer(folder)
    losses = []
    for example, text in rows:
        prompt = tokenizer(f"user:{example['question']};a:")["input_ids"]
        said = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
        with torch.inference_mode():
            labels = torch.tensor([[-100] * len(prompt) + said])
            loss = model(torch.tensor([prompt + said]), labels=labels).loss.item()
        losses.append((loss * len(said), len(said)))
    return losses


@pytest.mark.parametrize(("split", "n"), [("test_unseen", 4), ("test", 8)])
def test_the_loss_is_that_of_the_teachers_answers_to_the_test_questions(done, split, n):
    folder, run, _ = done
    found = json.loads((run / "evaluation.json").read_text())["splits"][split]["held_out"]
    rows = rows_of(run, split)
    base, student = (by_hand(weights, rows) for weights in (folder / "tiny", run / "student"))
    tokens = sum(count for _, count in base)
    assert (found["rows"], found["tokens"]) == (n, tokens)
    assert found["base"] == pytest.approx(sum(loss for loss, _ in base) / tokens, rel=1e-5)
    assert found["student"] == pytest.approx(sum(loss for loss, _ in student) / tokens, rel=1e-5)
    assert found["student"] < found["base"]
    assert found["difference"] == pytest.approx(found["student"] - found["base"])


def test_nothing_more_is_requested_and_the_report_shows_it(done):
    _, run, requests = done
    assert requests == 24 + 8 + 4
    report = (run / "report.html").read_text()
    for split in json.loads((run / "evaluation.json").read_text())["splits"].values():
        of = split["held_out"]
        assert f"On {of['rows']} answers of the teacher to these questions, {of['tokens']} tokens" in report
        assert f"{of['base']:.3f} nats for the base and {of['student']:.3f} for the student" in report


def test_the_interval_is_that_of_a_ratio_clustered_by_group():
    draw = random.Random(3)
    groups = [f"g{i // 4}" for i in range(40)]
    tokens = [draw.randint(5, 30) for _ in groups]
    shift = {group: draw.gauss(-1, 0.3) for group in set(groups)}
    base = [(n * draw.uniform(2, 3), n) for n in tokens]
    student = [(loss + n * shift[group], n) for (loss, n), group in zip(base, groups, strict=True)]
    found = compared(base, student, groups, 0.95)
    # The jackknife over groups is another estimate of the same standard error.
    total = sum(n for _, n in base)
    assert found["difference"] == pytest.approx((sum(a for a, _ in student) - sum(b for b, _ in base)) / total)
    left_out = []
    for group in sorted(set(groups)):
        rest = [i for i, of in enumerate(groups) if of != group]
        left_out.append(sum(student[i][0] - base[i][0] for i in rest) / sum(tokens[i] for i in rest))
    k, mean = len(left_out), sum(left_out) / len(left_out)
    jackknife = ((k - 1) / k * sum((of - mean) ** 2 for of in left_out)) ** 0.5
    half = (found["high"] - found["low"]) / 2
    assert isclose(half, 2.262 * jackknife, rel_tol=0.1)  # t with 9 degrees of freedom
    alone = compared(base, student, range(40), 0.95)
    assert half > 1.5 * (alone["high"] - alone["low"]) / 2


def test_of_equal_tokens_the_interval_is_that_of_the_mean_difference():
    base, student = [(20.0, 10), (30.0, 10), (25.0, 10)], [(10.0, 10), (26.0, 10), (20.0, 10)]
    found = compared(base, student, "abc", 0.95)
    wanted = stats.clustered_difference([1.0, 2.6, 2.0], [2.0, 3.0, 2.5], "abc")
    assert (found["low"], found["high"]) == pytest.approx((wanted.low, wanted.high))


def test_one_group_has_no_interval():
    found = compared([(20.0, 10), (30.0, 12)], [(10.0, 10), (20.0, 12)], "aa", 0.95)
    assert found["difference"] == pytest.approx(-20 / 22)
    assert found["low"] is found["high"] is None


@pytest.fixture
def found_with(done):
    """What is found where recipe and answers of the teacher differ."""
    folder, place, _ = done

    def found_with(changes=(), **of_answer):
        text = (folder / "small.yaml").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        run = Run(place, recipe_file.parse(text, folder=folder), folder / "runs" / "completions.sqlite")
        answers = [{**row, **of_answer} for row in run.read(artifacts.predictions("teacher-cot-fewshot"))]
        splits = {split: list(run.examples(split)) for split in ("test_unseen", "test")}
        found = held_out(run.recipe, run, splits, [Evaluated(system, answers) for system in run.recipe.systems])
        return {split: of["rows"] for split, of in found.items()}

    return found_with


SYSTEMS = "[base, student, teacher-cot-fewshot]"


@pytest.mark.parametrize(
    ("systems", "rows"),
    [
        (SYSTEMS, {"test_unseen": 4, "test": 8}),
        ("[base, student, teacher-direct]", {}),
        ("[student, teacher-cot-fewshot]", {}),
        ("[base, teacher-cot-fewshot, {name: student, export: gguf-q4_0}]", {}),
    ],
)
def test_it_needs_the_teacher_asked_as_for_training_and_both_models_in_process(found_with, systems, rows):
    assert found_with([(SYSTEMS, systems)]) == rows


@pytest.mark.parametrize(
    ("changes", "of_answer"),
    [
        ([("duplicate, in-test-set", "duplicate, correct, in-test-set")], {"text": "Answer: -1"}),
        ([], {"text": "I do not know."}),
        ([], {"finish_reason": "length"}),
        ([], {"error": "timeout"}),
        ([("epochs: 2", "epochs: 2, max_length: 20")], {}),
        ([("task: math", "task: math\ncondition: gold")], {}),
    ],
)
def test_answers_that_curation_would_not_keep_are_left_out(found_with, changes, of_answer):
    assert found_with(changes, **of_answer) == {}


def test_a_few_rows_of_each_split_are_enough(found_with, monkeypatch):
    monkeypatch.setattr("potstill.stages.evaluate.held_out.MOST_ROWS", 3)
    assert found_with() == {"test_unseen": 3, "test": 3}
