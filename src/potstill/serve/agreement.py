"""How often a student agrees with its teacher on the traffic, and the rows that say so."""

import json
from pathlib import Path
from typing import Any

from potstill.progress import echo
from potstill.recipe.systems import Role
from potstill.serve.metrics import Metrics
from potstill.stats import anytime_mean
from potstill.workspace import artifacts
from potstill.workspace.run import Run

LEAST = 20
"""Answers before anything is said of the agreement."""


class Agreement:
    """Answers that were compared, one a line in ``file``; those of the same student (``fingerprint``) count, of earlier servers too.

    floor: how often the student should agree; None where that is not known.
    """

    def __init__(self, file: Path, fingerprint: str, floor: float | None, confidence: float, metrics: Metrics) -> None:
        self.file, self.fingerprint, self.floor, self.confidence = file, fingerprint, floor, confidence
        self.metrics = metrics
        self.values = _read(file, fingerprint)
        self.left_out: dict[str, int] = {}
        self._told = 0
        """The number of answers when something was said last."""

    def add(self, agrees: bool, row: dict[str, Any]) -> None:
        """Add an answer, and append its row. What cannot be written is lost, and counted."""
        self.values.append(float(agrees))
        line = json.dumps({**row, "agrees": agrees, "fingerprint": self.fingerprint}, ensure_ascii=False)
        try:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            self.leave_out(f"not written: {error.strerror}")
        self.metrics.shadow.labels("agrees" if agrees else "differs").inc()

    def leave_out(self, reason: str) -> None:
        """Count an answer that is not compared, or a row that was not written."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1
        self.metrics.shadow.labels("left out").inc()

    def tell(self) -> None:
        """Report the agreement whenever the number of answers has doubled."""
        found = anytime_mean(self.values, self.confidence)
        self.metrics.shadow_low.set(found.low)
        if len(self.values) >= max(LEAST, 2 * self._told):
            self._told = len(self.values)
            echo(f"  shadow: {self.state()}")

    def begin(self) -> str:
        """What is watched, in words."""
        floor = "Nothing is said of retraining: --agreement says how often it should agree." if self.floor is None else (
            f"Below {self.floor:.0%} retraining is advised."
        )  # fmt: skip
        before = f" {len(self.values)} answers were compared before." if self.values else ""
        return f"the teacher is asked about some answers; rows go to {self.file}. {floor}{before}"

    def state(self) -> str:
        """How often the student agrees, and whether that suffices, in words. The limits hold however often one looks."""
        if not self.values:
            return "no answer was compared." + self._omitted()
        found = anytime_mean(self.values, self.confidence)
        text = (
            f"the student agrees with the teacher on {found.mean:.0%} of {found.n} answers, at least {found.low:.0%} and at most "
            f"{found.high:.0%} of the traffic ({self.confidence:.0%} sure at all looks together)."
        )
        if self.floor is not None and found.n >= LEAST:
            if found.high < self.floor:
                text += f" That is less than {self.floor:.0%}: retrain with these rows, data: {{source: logs, train: {self.file}}}."
            elif found.low >= self.floor:
                text += f" That is at least {self.floor:.0%}, as it should be."
        return text + self._omitted()

    def _omitted(self) -> str:
        return f" Left out: {', '.join(f'{n} ({why})' for why, n in self.left_out.items())}." if self.left_out else ""


def expected(run: Run) -> float | None:
    """How often the student agreed with the teacher on the test questions, less the recipe's margin; None where both were not asked."""
    recipe, task = run.recipe, run.task
    teacher = [one.name for one in recipe.systems if one.role is Role.TEACHER and one.prompting is recipe.prompting]
    student = [one.name for one in recipe.systems if one.role is Role.STUDENT]
    tables = [artifacts.predictions(names[0]) for names in (student, teacher) if names]
    if len(tables) < 2 or not all(run.path(table.file).exists() for table in tables):
        return None
    answers = [{row["id"]: row["answer"] for row in run.read(table)} for table in tables]
    shared = [id_ for id_ in answers[0] if answers[1].get(id_) is not None]
    if not shared:
        return None
    agreed = sum(task.equivalent(answers[0][id_], answers[1][id_]) for id_ in shared) / len(shared)
    return max(0.0, agreed - recipe.evaluate.margin)


def _read(file: Path, fingerprint: str) -> list[float]:
    """The answers of a student that were compared before. A line that was cut off is left out."""
    values = list[float]()
    if file.exists():
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if (
                    isinstance(row, dict)
                    and row.get("fingerprint") == fingerprint
                    and isinstance(row.get("agrees"), bool)
                ):
                    values.append(float(row["agrees"]))
    return values
