"""Options of a recipe reach what they are for: sampling, the optimizer, adapters, extraction, the forecast."""

import math
from types import SimpleNamespace

import pytest
from torch.nn import Linear
from torch.optim import SGD
from transformers import get_scheduler

import small
from potstill.models import Completion, Request, Sampling
from potstill.models.complete import Billing, complete
from potstill.models.opening import open_folder, open_model
from potstill.models.store.store import Store, key_function
from potstill.pipeline import forecast
from potstill.recipe import loading
from potstill.recipe.systems import System
from potstill.stages.evaluate import asking
from potstill.stages.evaluate import stage as evaluate
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.generate import generate, requests
from potstill.stages.limits import TokenLimits
from potstill.stages.train import trainer
from potstill.tasks import Parsed, Prompting, Status
from potstill.workspace import artifacts
from potstill.workspace.artifacts import GENERATED
from potstill.workspace.run import Run

RECIPE = """\
name: options
task: math
data: {{source: word_problems, train: 4, validation: 1, test: 2, test_unseen: 1}}
teacher: {{model: {{url: "{url}", model: t, concurrency: {concurrency}}}}}
student: {{model: "{student}", max_tokens: 40}}
{more}
"""


def recipe_with(more="", url="http://127.0.0.1:9", student="packaged/smollm2-135m-instruct", concurrency=5):
    return loading.parse(RECIPE.format(more=more, url=url, student=student, concurrency=concurrency))


def example(id_, split="train"):
    row = dict.fromkeys(("system", "prompt", "rationale", "logged", "origin"))
    return row | {"id": id_, "split": split, "group": id_, "gold": "7", "question": f"Question {id_}?"}


# Sampling


def test_sampling_options_reach_every_request_to_the_teacher():
    recipe = recipe_with(
        "generate: {temperature: 0.7, top_p: 0.9, max_tokens: 33, samples: 3, top_logprobs: 2}\nseed: 11"
    )
    examples = [example("a"), example("b")]
    sent = [request for _, request in requests(recipe, examples, FewShotExamples(recipe, lambda: iter(examples)), 3)]
    assert [(request.id, request.sample) for request in sent] == [
        ("a", 0),
        ("a", 1),
        ("a", 2),
        ("b", 0),
        ("b", 1),
        ("b", 2),
    ]
    assert {request.sampling for request in sent} == {
        Sampling(max_tokens=33, temperature=0.7, top_p=0.9, seed=11, top_logprobs=2)
    }


def test_samples_reach_the_teacher(tmp_path):
    with small.Teacher() as teacher:
        recipe = recipe_with("generate: {temperature: 0.7, samples: 3}", url=teacher.url)
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        run.write(artifacts.examples(recipe.task), [example("a"), example("b")])
        generate(recipe, run)
        assert [(row["id"], row["sample"]) for row in run.read(GENERATED)] == [
            (id_, i) for id_ in "ab" for i in range(3)
        ]
        assert teacher.seen.total() == 6


def test_limits_go_by_prompt_and_not_by_model():
    recipe = recipe_with("generate: {max_tokens: 33}\nseed: 11")
    limits = TokenLimits(recipe)
    shots = FewShotExamples(recipe, lambda: iter(()))

    def sampling(name):
        (request,) = asking.requests(recipe, System.model_validate(name), [example("a", "test")], shots, limits)
        return request.sampling

    assert {name: sampling(name) for name in ("base", "student", "teacher-plain", "base-fewshot")} == dict.fromkeys(
        ("base", "student", "teacher-plain", "base-fewshot"), Sampling(max_tokens=40)
    )
    assert (
        sampling("base-cot") == sampling("teacher-cot-fewshot") == sampling("student-direct") == Sampling(max_tokens=33)
    )
    limits.double(Prompting.COT)
    assert (sampling("base-cot-fewshot").max_tokens, sampling("teacher-direct").max_tokens) == (66, 33)
    cut = [Parsed(Status.TRUNCATED)]
    assert limits.is_too_low(Prompting.DIRECT, cut)
    assert not limits.is_too_low(Prompting.COT_FEWSHOT, cut)


def texts(folder, store, *samplings, sample=0):
    sent = [
        Request(str(i), [{"role": "user", "content": "Say."}], sampling, sample + i)
        for i, sampling in enumerate(samplings)
    ]
    model = open_folder(folder, "tiny", 4, "float32")
    return [c.text for c in complete(model, sent, "tiny", Billing(Store(store), ""))]


def test_draws_in_this_process_differ_by_sample_and_by_seed_and_are_repeatable(tiny_folder, tmp_path):
    drawn = Sampling(max_tokens=24, temperature=1.0, seed=1)
    first = texts(tiny_folder, tmp_path / "1.sqlite", drawn, drawn, drawn)
    assert len(set(first)) == 3
    assert texts(tiny_folder, tmp_path / "2.sqlite", drawn, drawn, drawn) == first
    assert texts(tiny_folder, tmp_path / "3.sqlite", drawn, sample=1) == first[1:2]
    (other,) = texts(tiny_folder, tmp_path / "4.sqlite", Sampling(max_tokens=24, temperature=1.0, seed=2))
    assert other not in first


def test_a_small_nucleus_leaves_the_likeliest_token(tiny_folder, tmp_path):
    greedy, narrow, wide = texts(
        tiny_folder,
        tmp_path / "1.sqlite",
        Sampling(max_tokens=24),
        Sampling(max_tokens=24, temperature=1.0, top_p=1e-6),
        Sampling(max_tokens=24, temperature=1.0),
    )
    assert narrow == greedy != wide


# Extraction


class Talker(small.Teacher):
    """A teacher that gives its answer only in a sentence."""

    def answer(self, body):
        message = {"role": "assistant", "content": "So she has 12 apples."}
        return {
            "choices": [{"message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 4, "completion_tokens": 6},
        }


@pytest.mark.parametrize(
    ("more", "status", "answer"),
    [
        ("evaluate: {extraction: lenient}", "unparseable", None),
        ("curate: {extraction: strict}", "unparseable", None),
        ("curate: {extraction: lenient}", "ok", "12"),
    ],
)
def test_training_data_is_read_strictly_unless_curate_says_otherwise(tmp_path, more, status, answer):
    with Talker() as teacher:
        recipe = recipe_with(more, url=teacher.url)
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        run.write(artifacts.examples(recipe.task), [example("a")])
        generate(recipe, run)
    (row,) = run.read(GENERATED)
    assert (row["status"], row["answer"]) == (status, answer)


@pytest.mark.parametrize(
    ("extraction", "gold", "outcome"),
    [
        ("strict", "7", "unparseable"),
        ("lenient", "7", "incorrect"),
        ("strict", "12", "unparseable"),
        ("lenient", "12", "correct"),
    ],
)
def test_the_kind_of_extraction_decides_the_outcome_of_a_test_question(tmp_path, extraction, gold, outcome):
    with Talker() as teacher:
        more = f"evaluate: {{extraction: {extraction}, systems: [teacher-direct]}}"
        recipe = recipe_with(more, url=teacher.url)
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        run.write(artifacts.examples(recipe.task), [example("a", "test") | {"gold": gold}])
        evaluate.evaluate(recipe, run)
    (row,) = run.read(artifacts.predictions("teacher-direct"))
    assert row["outcome"] == outcome
    both = {kind: row["scores"][kind] for kind in ("strict", "lenient")}
    assert both == {"strict": 0.0, "lenient": float(gold == "12")}, "whatever decides"


# Training


@pytest.fixture
def trained_with(tiny_folder, tmp_path, monkeypatch):
    """What the trainer is created with."""

    def trained_with(more, steps):
        seen = {}

        class Recorder:
            accelerator = SimpleNamespace(num_processes=1)

            def __init__(self, **arguments):
                seen.update(arguments)
                self.model = arguments["model"]

            def remove_callback(self, callback):
                pass

            def add_callback(self, callback):
                pass

            def train(self, resume_from_checkpoint):
                seen["resume"] = resume_from_checkpoint

        monkeypatch.setattr(trainer, "CompletionTrainer", Recorder)
        rows = [{"student_messages": [{"role": "user", "content": "q"}], "completion": "7", "turns": 1}] * 3
        recipe = recipe_with(more, student=tiny_folder)
        trainer.fit(recipe, tiny_folder, rows, trainer.Position(tmp_path, None, steps))
        return seen

    return trained_with


def test_options_of_training_reach_the_optimizer(trained_with):
    seen = trained_with(
        "train: {learning_rate: 3.0e-3, epochs: 7, batch_size: 5, weight_decay: 0.25, warmup_ratio: 0.2}\nseed: 9", 100
    )
    arguments = seen["args"]
    assert (arguments.learning_rate, arguments.max_steps, arguments.per_device_train_batch_size) == (3e-3, 100, 5)
    assert (arguments.weight_decay, arguments.seed, arguments.max_length) == (0.25, 9, None)
    assert arguments.gradient_accumulation_steps == 1
    assert len(seen["train_dataset"]) == 3
    assert seen["resume"] is None


def test_the_learning_rate_rises_then_follows_a_cosine_to_zero(trained_with):
    """Of 100 steps 20 rise linearly; a quarter of the other 80 later it is (1 + cos(pi / 4)) / 2 of the peak."""
    arguments = trained_with("train: {learning_rate: 1.0e-3, warmup_ratio: 0.2}", 100)["args"]
    optimizer = SGD(Linear(1, 1).parameters(), lr=arguments.learning_rate)
    schedule = get_scheduler(arguments.lr_scheduler_type, optimizer, arguments.get_warmup_steps(100), 100)
    rates = []
    for _ in range(101):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    expected = {0: 0, 10: 0.5, 20: 1, 40: (1 + math.cos(math.pi / 4)) / 2, 60: 0.5, 100: 0}
    assert [rates[step] for step in expected] == pytest.approx([1e-3 * part for part in expected.values()], abs=1e-12)


@pytest.mark.parametrize(("ratio", "steps", "warmup"), [(0.1, 9, 0), (0.1, 10, 1), (0.5, 7, 3), (0, 50, 0)])
def test_the_steps_of_the_warm_up_are_rounded_down(trained_with, ratio, steps, warmup):
    assert trained_with(f"train: {{warmup_ratio: {ratio}}}", steps)["args"].get_warmup_steps(steps) == warmup


def test_options_of_adapters_reach_them(trained_with):
    adapters = trained_with("train: {lora: {rank: 4, alpha: 24, dropout: 0.125}}", 3)["peft_config"]
    assert (adapters.r, adapters.lora_alpha, adapters.lora_dropout) == (4, 24, 0.125)
    assert (adapters.target_modules, adapters.task_type) == ("all-linear", "CAUSAL_LM")


def test_full_fine_tuning_has_no_adapters(trained_with):
    assert trained_with("train: {method: full}", 3)["peft_config"] is None


# The forecast


def test_forecast_seconds_are_those_of_stored_answers_by_the_requests_in_flight(tmp_path):
    """One of four answers of the generate stage is stored; it took 6 seconds and 20 tokens. Three more take 3 * 6 / 5 seconds
    with five requests in flight."""
    recipe = recipe_with("evaluate: {systems: [student]}\ngenerate: {max_tokens: 64}")
    run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
    first = next(stage for stage in forecast.STAGES if stage.name == "generate")
    known = forecast.KnownExamples(forecast._rows_of_data(run), complete=False)
    (planned,) = first.planned(recipe, known)
    sent = list(planned.requests)
    assert len(sent) == 4
    section = recipe.teacher
    identity = open_model(section.model, section.batch_size, section.dtype, run.store).identity
    run.store.put([Completion("", 0, text="x", completion_tokens=20, seconds=6.0, key=key_function(identity)(sent[0]))])
    (estimate,) = forecast.estimate(run)
    assert (estimate.requests, estimate.stored, estimate.completion_tokens) == (4, 1, 60)
    assert estimate.seconds == pytest.approx(3 * 6 / 5)
