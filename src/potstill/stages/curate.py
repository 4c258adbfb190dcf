"""Label every generated row, then filter: curated.parquet holds all of them."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from potstill.errors import PotstillError
from potstill.models import signs
from potstill.progress import echo
from potstill.recipe.curating import Filter
from potstill.recipe.recipe import Condition, Recipe
from potstill.stages import chats
from potstill.stages.judge import scoring
from potstill.stages.planned import KnownExamples, Planned
from potstill.tasks import Example, Task
from potstill.workspace.artifacts import CURATED, GENERATED, CuratedRow, GeneratedRow
from potstill.workspace.run import Run

REQUIRED = (Filter.PARSED, Filter.FINISHED, Filter.CORRECT)
"""Checks whose label must be true; that of the others must be false."""
WITH_RATIONALE = (Condition.COT_RATIONALE, Condition.GOLD_RATIONALE)
MAJORITY = 0.5
"""Fraction of a question's samples that must agree with an answer whose gold is unknown."""
PER_QUESTION, MAX_ROWS = "per-question", "max-rows"
"""The reasons of rows beyond `curate.per_question` and `curate.max_rows`."""


def curate(recipe: Recipe, run: Run) -> None:
    """Write curated.parquet. Raises `PotstillError` when no row is left to train on."""
    from potstill.models.local import loading

    examples = {example["id"]: example for example in run.examples()}
    generated = run.read(GENERATED)
    answers = ((examples[row["id"]], row["answer"]) for row in generated)
    task = _judged(recipe, run, answers)
    chat = loading.load_chat(recipe.student.model.download(), recipe.student.chat_template)

    def can_join(row: CuratedRow) -> bool:
        messages = row["student_messages"]
        turns = 1 + sum(message["role"] == "assistant" for message in messages)
        try:
            chat.around_replies(messages, turns)
        except ValueError:
            return False
        return True

    others = [check for check in recipe.curate.filters if check is not Filter.DUPLICATE]

    def passes(row: Mapping[str, Any]) -> bool:
        return bool(row["completion"]) and not first_failure({f: row[_column(f)] for f in others}, others)

    labeller = _Labeller(recipe, task, examples, chat.count, chats.replies(generated))
    rows = [labeller.label(row, agreed) for row, agreed in zip(generated, agreements(task, generated), strict=True)]
    joined = chats.join(task, rows, examples, passes, can_join) if task.multi_turn else {}
    rewritten = sum(row["turns"] == 1 and bool(task.earlier_turns(examples[row["id"]])) for row in rows)
    if rewritten:
        echo(f"  {rewritten} later turns are rows of their own: the student's chat template rewrites earlier turns")
    _limit(rows, recipe, joined)
    run.write(CURATED, rows)
    _report(task, rows, examples)


def planned(recipe: Recipe, known: KnownExamples) -> Iterator[Planned]:
    """The requests to a judge about the teacher's answers."""
    samples = recipe.generate.samples if recipe.generates else 1
    return scoring.planned(scoring.of_curation(recipe), recipe.task, "curate: judge", known.rows("train"), samples)


def _judged(recipe: Recipe, run: Run, answers: scoring.Answers) -> Task:
    """The task, ready to score the teacher's answers. One that a judge was asked about without a verdict is not trained on."""
    verdicts = scoring.verdicts(scoring.of_curation(recipe), run, recipe.task, answers, "the teacher's answers")
    if recipe.task.judged and not recipe.curate.judge:
        echo("  no judge checks the teacher's answers against gold; curate.judge would")
    return recipe.task.with_verdicts({pair: bool(verdict) for pair, verdict in verdicts.items()})


class _Labeller:
    """Labels rows in their order; a row is a duplicate of the rows before it."""

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        examples: Mapping[str, Example],
        tokens: Callable[[Sequence[Mapping[str, str]], str], int],
        replies: chats.Replies,
    ) -> None:
        self.recipe, self.task, self.examples, self.tokens, self.replies = recipe, task, examples, tokens, replies
        held_out = [example for example in examples.values() if example["split"] != "train"]
        self.held_out = {task.question_key(example) for example in held_out}
        shares_groups = recipe.data.real.shares_groups
        self.held_out_groups = set() if shares_groups else {example["group"] for example in held_out}
        self._seen: set[tuple[str, str]] = set()

    def label(self, row: GeneratedRow, agreed: float | None) -> CuratedRow:
        """The row with its labels, what the student is trained on, and the first filter that it fails."""
        example = self.examples[row["id"]]
        completion = self._target(row)
        continued = chats.continued(self.task, example, row["sample"], self.replies) or example
        messages = [dict(m) for m in self.task.messages(continued)]
        tokens = self._tokens(messages, completion, row["rationale"])
        question = self.task.question_key(continued)
        labels = {
            Filter.PARSED: row["status"] == "ok",
            Filter.FINISHED: row["finish_reason"] == "stop",
            Filter.CORRECT: is_correct(self.task, row["answer"], example, agreed),
            Filter.DUPLICATE: (question, completion) in self._seen,
            Filter.IN_TEST_SET: self.task.question_key(example) in self.held_out,
            Filter.GROUP_IN_TEST_SET: example["group"] in self.held_out_groups,
            Filter.TOO_LONG: tokens > self.recipe.train.max_length,
        }
        if not first_failure(labels, [check for check in self.recipe.curate.filters if check is not Filter.DUPLICATE]):
            self._seen.add((question, completion))
        reason = first_failure(labels, self.recipe.curate.filters) if completion else Filter.PARSED.value
        return CuratedRow(
            **row,
            parsed=bool(labels[Filter.PARSED]),
            finished=bool(labels[Filter.FINISHED]),
            correct=labels[Filter.CORRECT],
            duplicate=bool(labels[Filter.DUPLICATE]),
            in_test_set=bool(labels[Filter.IN_TEST_SET]),
            group_in_test_set=bool(labels[Filter.GROUP_IN_TEST_SET]),
            too_long=bool(labels[Filter.TOO_LONG]),
            agreement=agreed,
            student_messages=messages,
            completion=completion,
            turns=0 if reason else 1,
            tokens=tokens,
            kept=not reason,
            reason=reason,
        )

    def _tokens(self, messages: Sequence[Mapping[str, str]], completion: str, rationale: str) -> int:
        """The number of tokens of the row, or of the longer one of two, see `Joint`."""
        tokens = self.tokens(messages, completion)
        if not self.recipe.trains_jointly:
            return tokens
        return max(tokens, self.tokens(self.recipe.train.joint.messages(messages), rationale))

    def _target(self, row: GeneratedRow) -> str:
        """What the student is trained to say; empty where the row has no answer."""
        if row["answer"] is None:
            return ""
        rationale = row["rationale"] if self.recipe.condition in WITH_RATIONALE else ""
        return self.task.target_text(rationale, row["answer"])


def _column(check: Filter) -> str:
    """The column of a check's label."""
    return check.value.replace("-", "_")


def first_failure(labels: Mapping[Filter, bool | None], filters: Sequence[Filter]) -> str:
    """The first filter that a row fails; empty if it passes all. An unknown label passes."""
    failed = (f.value for f in filters if labels[f] is not None and labels[f] != (f in REQUIRED))
    return next(failed, "")


def is_correct(task: Task, answer: str | None, example: Example, agreed: float | None) -> bool | None:
    """Whether an answer is correct by gold; without gold, whether most samples agree with it; None where neither is
    known."""
    if not task.gradable:
        return None
    if example["gold"] is not None:
        score = task.main_score(answer, example)
        return None if score is None else score == 1.0
    return None if agreed is None else agreed > MAJORITY


def agreements(task: Task, rows: Sequence[GeneratedRow]) -> list[float | None]:
    """For each row the fraction of its question's samples with an equivalent answer; None where there is one sample."""
    samples: dict[str, list[str | None]] = defaultdict(list)
    for row in rows:
        samples[row["id"]].append(row["answer"])
    return [_agreement(task, row["answer"], samples[row["id"]]) for row in rows]


def _agreement(task: Task, answer: str | None, samples: Sequence[str | None]) -> float | None:
    if len(samples) < 2 or not task.gradable:
        return None
    return sum(task.equivalent(answer, other) for other in samples) / len(samples)


def _limit(rows: Sequence[CuratedRow], recipe: Recipe, joined: Mapping[tuple[str, int], Sequence[CuratedRow]]) -> None:
    """Drop training rows beyond `curate.per_question`, then those beyond `curate.max_rows`, drawn by seed; of a chat, with all
    of its turns."""

    def parts(row: CuratedRow) -> Sequence[CuratedRow]:
        return joined.get((row["id"], row["sample"]), [row])

    def drop(row: CuratedRow, reason: str) -> None:
        for part in parts(row):
            part["kept"], part["reason"], part["turns"] = False, reason, 0

    by_question: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: row["sample"]):
        if row["turns"]:
            question = parts(row)[0]["id"]
            by_question[question] += 1
            if recipe.curate.per_question is not None and by_question[question] > recipe.curate.per_question:
                drop(row, PER_QUESTION)
    kept = [row for row in rows if row["turns"]]
    most = recipe.curate.max_rows
    if most is not None and len(kept) > most:
        for row in random.Random(recipe.data_seed).sample(kept, len(kept) - most):
            drop(row, MAX_ROWS)


def _report(task: Task, rows: Sequence[CuratedRow], examples: Mapping[str, Example]) -> None:
    """Print the counts. Raises `PotstillError` when no row is kept."""
    counts = Counter(row["reason"] or "kept" for row in rows)
    echo(f"  {len(rows)} rows: " + ", ".join(f"{n} {in_words(reason)}" for reason, n in counts.most_common()))
    without_gold = [row for row in rows if examples[row["id"]]["gold"] is None]
    if task.gradable and without_gold:
        checked = sum(row["agreement"] is not None for row in without_gold)
        unchecked = len(without_gold) - checked
        echo(
            f"  {len(without_gold)} have no gold: {checked} checked by agreement between samples, {unchecked} not at all"
        )
    if not counts["kept"]:
        raise PotstillError(
            f"No row is left to train on. {_why_none(rows)}See 'reason' in curated.parquet, and relax curate.filters."
        )


def _why_none(rows: Sequence[CuratedRow]) -> str:
    """What the rows without an answer have in common, as sentences; empty where there is none."""
    unanswered = [row for row in rows if row["status"] != "ok"]
    causes = Counter(
        signs.empty_cause(row["text"], row["finish_reason"], row["reasoning"], row["reasoning_tokens"])
        for row in unanswered
    )
    cause = signs.what_ails_empty(len(rows), causes["without_room"], causes["in_reasoning"])
    statuses = Counter(row["error"] or row["status"] for row in unanswered)
    listed = ", ".join(f"{n} {name}" for name, n in statuses.most_common())
    return (f"{cause}. " if cause else "") + (f"Without an answer: {listed}. " if listed else "")


def in_words(reason: str) -> str:
    """What a reason says of a row."""
    return f"not {reason}" if reason in [required.value for required in REQUIRED] else reason
