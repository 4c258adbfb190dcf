"""Fields that decide who answers the test questions, how answers are read and compared, and what is shown."""

from pathlib import Path
from tempfile import mkdtemp
from unittest import mock

from scipy.stats import binomtest

from fields.asking import APPLES, example
from fields.case import LEFT_OUT, case
from golden import pair
from potstill import rubrics
from potstill.models import Completion, Request
from potstill.models.local import gpu
from potstill.pipeline import preflight
from potstill.recipe.asked import AskedModel
from potstill.recipe.judging import why_no_judges
from potstill.stages.evaluate import asking
from potstill.stages.evaluate import stage as evaluate
from potstill.stages.evaluate.asking import Answer, Asker
from potstill.stages.evaluate.summary import Evaluated, summary
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.judge import scoring
from potstill.stages.judge import stage as judging
from potstill.stages.limits import TokenLimits
from potstill.stages.planned import KnownExamples
from potstill.stages.report import stage as report
from potstill.tasks import Prompting
from potstill.workspace import artifacts
from potstill.workspace.run import Run

TEST = example("Three and four?", split="test")


def planned(recipe):
    """The requests of the evaluation to models that are asked elsewhere."""
    known = KnownExamples(lambda *splits: iter([TEST] if "test" in splits else APPLES), complete=True)
    return list(evaluate.planned(recipe, known))


def limit_of_student(recipe):
    student = next(system for system in recipe.systems if system.role == "student")
    shots = FewShotExamples(recipe, lambda: iter(APPLES))
    (request,) = asking.requests(recipe, student, [TEST], shots, TokenLimits(recipe))
    return request.sampling.max_tokens


def batch_of_student(recipe):
    """How many answers of the student are generated at once."""
    run = Run(Path(mkdtemp()), recipe, Path(mkdtemp()) / "store.sqlite")
    run.student_folder.symlink_to(recipe.student.model.download())
    student = next(system for system in recipe.systems if system.role == "student")
    done = [Completion(TEST["id"], 0, text="Answer: 7", finish_reason="stop")]
    with mock.patch.object(asking, "complete", return_value=done) as complete:
        Asker(recipe, run).ask([student], [TEST])
    return complete.call_args.args[0].batch_size


def exported_of_first(recipe):
    """The path of the export that the first system asks."""
    run = Run(Path(mkdtemp()), recipe, Path(mkdtemp()) / "store.sqlite")
    run.path("exports/safetensors").mkdir(parents=True)
    run.path("exports/safetensors/model").symlink_to(recipe.student.model.download())
    run.path("exports/gguf-f16").mkdir()
    run.path("exports/gguf-f16/model.gguf").write_bytes(b"weights")
    first = recipe.systems[0]
    done = [Completion(TEST["id"], 0, text="Answer: 7", finish_reason="stop")]
    with mock.patch.object(asking, "complete", return_value=done) as complete:
        Asker(recipe, run).ask([first], [TEST])
    return str(Path(complete.call_args.args[0].name).relative_to(run.path("exports").absolute()))


def retrieved(recipe):
    """How many training rows go before a question that retrieves them."""
    shots = FewShotExamples(recipe, lambda: iter(APPLES), lambda: iter(APPLES))
    return len(shots(TEST, Prompting.RETRIEVED))


def answer_of_first(recipe):
    """What the first system answers, which is not asked."""
    run = Run(Path(mkdtemp()), recipe, Path(mkdtemp()) / "store.sqlite")
    first = recipe.systems[0]
    return Asker(recipe, run).ask([first], [TEST])[first.name][0].completion.text


def outcome(recipe):
    """What becomes of an answer that is given in a sentence only."""
    completion = Completion(TEST["id"], 0, text="So she has 7 apples.", finish_reason="stop")
    parsed = asking.read(recipe.task, TEST, completion)
    answer = Answer(Request("a", []), completion, parsed)
    return evaluate.prediction(recipe.task, recipe.evaluate.extraction, TEST, answer)["outcome"]


def compared(recipe):
    """Two systems on 50 questions: the first answers 38 correctly, the second, the first of the recipe's, 36."""
    student = next(system for system in recipe.systems if system.name == "student")
    first, second = pair(34, 4, 2, 10)
    return summary([Evaluated(student, first), Evaluated(recipe.systems[0], second)], recipe.task, recipe.evaluate, {})


def lower_limit(confidence):
    return round(binomtest(38, 50).proportion_ci(confidence, method="wilson").low, 9)


def curating(seen):
    """Of the request to the judge of training rows, or of the judge."""
    return lambda recipe: seen(*scoring.planned(scoring.of_curation(recipe), recipe.task, "curate: judge", [TEST], 1))


def judging_of(seen):
    """Of what the judges are asked about answers to three questions."""
    three = [TEST, example("Five and four?", split="test"), example("Six and four?", split="test")]
    known = KnownExamples(lambda *splits: iter(three), complete=True)

    def of(recipe):
        with mock.patch.object(judging, "rubric_of", lambda recipe: rubric_named(recipe.evaluate.judge.rubric)):
            return seen(list(judging.planned(recipe, known)))

    return of


def rubric_named(name):
    return rubrics.load(name if name in rubrics.shipped_names() else "rationale")


def first_prompt(planned):
    return next(iter(planned[0].requests)).messages[-1]["content"]


def n_requests(planned):
    return sum(1 for _ in planned[0].requests)


def shown(recipe):
    """The number of test questions that the report shows side by side."""
    run = mock.MagicMock()
    run.examples.side_effect = lambda: iter([example(f"q{i}", split="test") for i in range(9)])
    run.read.side_effect = lambda table: []
    training = {"loss": [], "validation": [{"n": 1}]}
    run.read_json.side_effect = lambda name: training if name == artifacts.TRAINING else {}
    with mock.patch.object(report, "Environment") as environment, mock.patch.object(report, "cost"):
        report.report(recipe, run)
    return len(environment.return_value.get_template.return_value.render.call_args.kwargs["shown"])


def too_small(recipe):
    """Whether a machine with a GPU of 10 GB is refused."""
    with mock.patch.object(gpu, "memory_bytes", return_value=10e9):
        return bool(preflight.shortage(recipe))


PEER = {"name": "peer", "model": {"model": {"url": "http://p/v1", "model": "p"}}}
WITH_PEER = {"evaluate__systems": [PEER, "student"]}
JUDGED = {
    "task": {"name": "custom", "prompts": {"plain": "{{ question }}"}, "scorer": "judge"},
    "data": {"source": "files", "train": "@/rows.jsonl", "validation": 1, "test": 1},
    "generate__prompting": "plain",
    "evaluate__systems": ["base", "student"],
    "evaluate__judge__models": "packaged/j",
    "curate__judge__model": "packaged/c",
}
BY_JUDGE = {"evaluate__judge__models": "packaged/j", "evaluate__systems": ["base", "student", "teacher-direct"]}
PAIRWISE = {**BY_JUDGE, "evaluate__judge__form": "pairwise"}

CASES = [
    case("Student.max_tokens", "student.max_tokens", limit_of_student, (40, 40), (50, 50)),
    case("Student.batch_size", "student.batch_size", batch_of_student, (3, 3), (5, 5)),
    case("Evaluate.systems", "evaluate.systems", lambda r: [one.what for one in planned(r)],
         (["base", "student", "teacher-direct"], ["evaluate: teacher-direct"]), (["student", "teacher-cot"], ["evaluate: teacher-cot"])),
    case("Evaluate.extraction", "evaluate.extraction", outcome, ("strict", "unparseable"), ("lenient", "correct")),
    case("Evaluate.margin", "evaluate.margin", lambda r: compared(r)["comparisons"][0]["not_worse"]["shown"], (0.01, False), (0.3, True)),
    case("Evaluate.confidence", "evaluate.confidence",
         lambda r: round(compared(r)["systems"]["student"]["metrics"]["accuracy"]["low"], 9),
         (0.9, lower_limit(0.9)), (0.99, lower_limit(0.99))),
    case("System.name", "evaluate.systems.0.name", lambda r: [one.what for one in planned(r)], ("one", ["evaluate: one"]),
         ("two", ["evaluate: two"]), **WITH_PEER),
    case("System.model", "evaluate.systems.0.model.model.model", lambda r: [one.model.name for one in planned(r)], ("p1", ["p1"]),
         ("p2", ["p2"]), **WITH_PEER),
    case("System.prompting", "evaluate.systems.0.prompting", lambda r: len(next(iter(planned(r)[0].requests)).messages),
         ("cot", 1), ("cot-fewshot", 5), **WITH_PEER),
    case("System.cheaper", "evaluate.systems.0.cheaper", lambda r: compared(r)["comparisons"][0]["cheaper"], (False, False),
         (True, True), **WITH_PEER),
    case("System.predictions", "evaluate.systems.0.predictions", answer_of_first, ("@/answers_one.jsonl", "It is one."),
         ("@/answers_two.jsonl", "It is two."), evaluate__systems=[{"name": "theirs"}, "student"]),
    case("System.export", "evaluate.systems.0.export", exported_of_first, ("safetensors", "safetensors/model"),
         ("gguf-f16", "gguf-f16/model.gguf"), evaluate__systems=[{"name": "shipped"}, "student"]),
    case("Evaluate.retrieved", "evaluate.retrieved", retrieved, (1, 1), (3, 3)),
    case("Judge.max_tokens", "curate.judge.max_tokens",
         curating(lambda one: next(iter(one.requests)).sampling.max_tokens), (64, 64), (99, 99), **JUDGED),
    case("Judges.models", "evaluate.judge.models", judging_of(lambda all: [one.model.name for one in all]),
         ("packaged/j", ["packaged/j"]), (["packaged/j", "packaged/k"], ["packaged/j", "packaged/k"])),
    case("Judges.form", "evaluate.judge.form", judging_of(lambda all: first_prompt(all).split()[1]),
         ("scores", "grade"), ("reference", "decide"), ("pairwise", "compare"), **BY_JUDGE),
    case("Judges.rubric", "evaluate.judge.rubric", judging_of(lambda all: "padding" in first_prompt(all)),
         ("conversation", True), ("summarization", False), **BY_JUDGE),
    case("Judges.systems", "evaluate.judge.systems", judging_of(n_requests), (["student"], 3), (LEFT_OUT, 9), **BY_JUDGE),
    case("Judges.max_tokens", "evaluate.judge.max_tokens", judging_of(lambda all: next(iter(all[0].requests)).sampling.max_tokens),
         (64, 64), (99, 99), **BY_JUDGE),
    case("Judges.repeats", "evaluate.judge.repeats", judging_of(lambda all: all[0].more), (0, 0), (2, 4), **PAIRWISE),
    case("Judges.questions", "evaluate.judge.questions", judging_of(n_requests), (1, 6), (2, 12), (LEFT_OUT, 18), **PAIRWISE),
    case("Judges.allow_related", "evaluate.judge.allow_related",
         lambda r: bool(why_no_judges(r.evaluate.judge, None, r.task, r.systems, AskedModel(model="packaged/j-instruct"))), (True, False), (False, True),
         **BY_JUDGE),
    case("Judges.seed", "evaluate.judge.seed", lambda r: r.judge_seed, (1, 1), (2, 2), **PAIRWISE),
    case("Report.examples", "report.examples", shown, (2, 2), (20, 9)),
    case("Needs.gpu_memory_gb", "needs.gpu_memory_gb", too_small, (None, False), (8, False), (80, True)),
]  # fmt: skip
