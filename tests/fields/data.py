"""Fields of the data: which rows become examples, and which new inputs are requested."""

import json
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp
from unittest import mock

from fields.case import case, refused
from potstill.data import hub, word_problems
from potstill.data.examples import examples
from potstill.models import Completion
from potstill.stages.data import synthesize
from potstill.workspace.run import Run


def write_rows(folder):
    """The files that recipes name."""
    _write(folder / "rows.jsonl", [{"id": f"r{i}", "question": f"Question {i}?", "gold": str(i)} for i in range(8)])
    _write(folder / "more.jsonl", [{"id": f"m{i}", "question": f"More {i}?", "gold": str(i)} for i in range(3)])
    _write(folder / "two.jsonl", [{"id": str(i), "question": "Q?", "task": f"T{i}?", "gold": "1"} for i in range(2)])
    _write(
        folder / "gsm8k.jsonl",
        [{"question": f"Question {i}?", "answer": "Add.\n#### 7", "gold": "8"} for i in range(2)],
    )
    _write(
        folder / "no_gold.jsonl",
        [{"id": f"n{i}", "question": f"N {i}?", "gold": str(i) if i else None} for i in range(4)],
    )
    _write(folder / "odd.jsonl", [{"id": f"o{i}", "question": f"O {i}?", "gold": "1" if i else "?"} for i in range(4)])
    for name in ("one", "two"):
        _write(folder / f"answers_{name}.jsonl", [{"question": "Three and four?", "completion": f"It is {name}."}])
    _write(folder / "log.jsonl", [_logged(f"Ask a{i}@b.org about item K-{i}{i}") for i in range(6)])
    _write(folder / "log2.jsonl", [_logged(f"Other {i}") for i in range(3)] + [CHAT])


CHAT = {"messages": [{"role": role, "content": "Hello"} for role in ("user", "assistant", "user", "assistant")]}
"""More than the task math can use."""


def _write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _logged(prompt):
    return {"prompt": prompt, "completion": "It is 7."}


def by_split(recipe):
    return dict(Counter(row["split"] for row in examples(recipe)))


def of(split):
    """The number of examples of a split."""
    return lambda recipe: by_split(recipe).get(split, 0)


def first(name):
    return lambda recipe: next(iter(examples(recipe)))[name]


def column(name, split="train"):
    return lambda recipe: sorted({row[name] for row in examples(recipe) if row["split"] == split})


def read_from_the_hub(place, split="train"):
    """What is read for a split: name, configuration, revision and split of the hub, or the number of rows."""

    def seen(recipe):
        source = hub.split_sources(recipe.data).get(split)
        return source.args[place] if callable(source) else source

    return seen


def new(recipe):
    """Requests for new inputs, and their methods."""
    seeds = [row for row in examples(recipe) if row["split"] == "train"]
    return list(synthesize.requests(recipe, recipe.data, seeds))


def prompt(recipe):
    return new(recipe)[0][0].messages[0]["content"]


def created(recipe):
    """The new inputs out of three replies, the first two of which share two of four word trigrams."""
    replies = ["alpha beta gamma delta", "alpha beta gamma delta epsilon zeta", "rho sigma tau phi"]
    answers = [Completion("n", 0, text=json.dumps({"question": text}), finish_reason="stop") for text in replies]
    folder = Path(mkdtemp())
    with mock.patch.object(synthesize, "complete_within_budget", return_value=answers):
        made = synthesize.synthesize(recipe, Run(folder, recipe, folder / "s"), recipe.data, list(examples(recipe)))
    return len(made)


def first_question(seed):
    return next(iter(word_problems.questions(seed, "test", unseen=False, taken=set())))["question"]


FILES = {"data": {"source": "files", "train": "@/rows.jsonl", "validation": 1, "test": 1}}
HUB = {"data": {"source": "hub", "name": "a/b"}}
LOGS = {"data": {"source": "logs", "train": "@/log.jsonl", "validation": 1, "test": 1}}
NEW = {
    "data": {
        "source": "synthesize",
        "n": 3,
        "seeds": {"source": "word_problems", "train": 4, "validation": 1, "test": 1},
    }
}


def files(**values):
    return {"data": FILES["data"] | values}


CASES = [
    *(case(f"WordProblems.{split}", f"data.{split}", of(split), (2, 2), (3, 3))
      for split in ("train", "validation", "test", "test_unseen")),
    case("DataSource.seed", "data.seed", first("question"), (3, first_question(3)), (4, first_question(4))),
    case("Files.train", "data.train", of("train"), ("@/rows.jsonl", 6), ("@/more.jsonl", 1), **FILES),
    case("Files.validation", "data.validation", column("id", "validation"), ("@/more.jsonl", [f"validation-m{i}" for i in range(3)]),
         ("@/two.jsonl", ["validation-0", "validation-1"]), **FILES),
    case("Files.test", "data.test", of("test"), ("@/more.jsonl", 3), ("@/two.jsonl", 2), **FILES),
    case("Files.test_unseen", "data.test_unseen", of("test_unseen"), (None, 0), ("@/more.jsonl", 3), **FILES),
    case("Rows.preset", "data.preset", column("gold"), (None, ["8"]), ("gsm8k", ["7"]),
         **files(train="@/gsm8k.jsonl", validation="@/gsm8k.jsonl", test="@/gsm8k.jsonl")),
    case("Rows.columns", "data.columns", column("question"), ({}, ["Q?"]), ({"question": "task"}, ["T0?", "T1?"]),
         **files(train="@/two.jsonl", validation="@/two.jsonl", test="@/two.jsonl")),
    case("Rows.system", "data.system", column("system"), ("Be brief.", ["Be brief."]), ("Reason.", ["Reason."]), **FILES),
    case("Rows.unlabelled", "data.unlabelled", refused(of("train")), ("keep", 4), ("drop", 3), ("refuse", "refused"),
         **files(train="@/no_gold.jsonl", validation="@/more.jsonl", test="@/more.jsonl")),
    case("Rows.most_left_out", "data.most_left_out", refused(of("train")), (0.5, 3), (0.1, "refused"),
         **files(train="@/odd.jsonl", validation="@/more.jsonl", test="@/more.jsonl")),
    case("Rows.limit", "data.limit", of("train"), (None, 8), (5, 5), **files(validation="@/more.jsonl", test="@/more.jsonl")),
    case("Hub.name", "data.name", read_from_the_hub(0), ("a/b", "a/b"), ("a/c", "a/c"), **HUB),
    case("Hub.config", "data.config", read_from_the_hub(1), (None, None), ("main", "main"), **HUB),
    case("Hub.revision", "data.revision", read_from_the_hub(2), (None, None), ("abc", "abc"), **HUB),
    *(case(f"Hub.{split}", f"data.{split}", read_from_the_hub(3, split), ("one", "one"), ("two", "two"), **HUB)
      for split in ("train", "validation", "test", "test_unseen")),
    case("Logs.train", "data.train", lambda r: sum(by_split(r).values()), ("@/log.jsonl", 6), ("@/log2.jsonl", 3),
         data={**LOGS["data"], "most_left_out": 1.0}),
    case("Logs.validation", "data.validation", of("validation"), (1, 1), (2, 2), **LOGS),
    case("Logs.test", "data.test", of("test"), (1, 1), (2, 2), **LOGS),
    case("Logs.redact", "data.redact", lambda r: "[EMAIL]" in first("prompt")(r), ([], False), (["email"], True), **LOGS),
    case("Logs.redact_patterns", "data.redact_patterns", lambda r: "[ITEM]" in first("prompt")(r), ({}, False),
         ({"item": r"K-\d+"}, True), **LOGS),
    case("Logs.most_left_out", "data.most_left_out", refused(lambda r: sum(by_split(r).values())), (0.5, 3), (0.0, "refused"),
         data={**LOGS["data"], "train": "@/log2.jsonl"}),
    case("Logs.limit", "data.limit", lambda r: sum(by_split(r).values()), (None, 6), (4, 4), **LOGS),
    case("Synthesize.n", "data.n", lambda r: len(new(r)), (2, 2), (5, 5), **NEW),
    case("Synthesize.methods", "data.methods", lambda r: [method for _, method in new(r)], (["new"], ["new"] * 3),
         (["harder", "renamed"], ["harder", "renamed", "harder"]), **NEW),
    case("Synthesize.topics", "data.topics", lambda r: "volcanoes" in prompt(r), ([], False), (["volcanoes"], True), **NEW),
    case("Synthesize.difficulties", "data.difficulties", lambda r: "fiendish" in prompt(r), ([], False), (["fiendish"], True), **NEW),
    case("Synthesize.similarity", "data.similarity", created, (0.4, 2), (0.6, 3), **NEW),
    case("Synthesize.temperature", "data.temperature", lambda r: new(r)[0][0].sampling.temperature, (0.5, 0.5), (1.0, 1.0), **NEW),
    case("Synthesize.max_tokens", "data.max_tokens", lambda r: new(r)[0][0].sampling.max_tokens, (50, 50), (60, 60), **NEW),
]  # fmt: skip
