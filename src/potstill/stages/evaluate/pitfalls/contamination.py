"""Test questions that the student saw in training: word for word, nearly, or with other numbers and names."""

from collections.abc import Collection

from potstill.recipe.systems import STUDENT
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.pitfalls.evidence import Evidence
from potstill.stages.evaluate.pitfalls.overlap import RUN, closest
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall, few
from potstill.stages.evaluate.pitfalls.texts import is_template, keys, parts, user_turns

NEAR = 0.8
"""A question is nearly a training text that shares more than this fraction of its words in runs of eight. Tülu 3 takes 0.5
(Lambert et al. 2024, arXiv 2411.15124, section 3.2), which two word problems with one sentence in common reach: of 200 built-in
ones up to 5 share half of their words with one of 150 questions of other templates, and up to 1 shares 0.8."""
MOST_NEAR = 0.02
"""Fraction of the questions that may be nearly in training before they are reported, as in Tülu 3."""
TEMPLATES = 0.05
"""Fraction of the questions whose templates may be those of training by chance: "What is the capital of X?"."""


def contamination(evidence: Evidence) -> list[Pitfall]:
    """Questions of the test split in the kept rows of training: messages and completions, so also a question that a completion or a
    solved example quotes.

    Word for word: a user's turn (of a chat all turns) of the same words, or any text that has each part of the question.
    Nearly: see `NEAR`. Of a template: a user's turn that has the same words when numbers and names are masked.
    One question of the first kind is reported, of the second more than `MOST_NEAR`, templates from `TEMPLATES` on.
    """
    training, task, examples = evidence.training, evidence.task, evidence.questions
    if not training.n or not examples:
        return []
    ids, mask = training.vocabulary.ids, training.masker.mask
    asked = [user_turns(messages) for messages in evidence.prompts]
    equal = [_last(keys(map(ids, turns))) in training.keys for turns in asked]
    questions = [[ids(part) for part in parts(task, example)] for example in examples]
    shared = closest(questions, training.texts)
    templates = [_last(keys(ids(mask(turn)) for turn in turns)) in training.masked_keys for turns in asked]
    masked = [is_template("\n".join(map(mask, turns))) for turns in asked]
    exact = [e["id"] for e, same, share in zip(examples, equal, shared, strict=True) if same or share.whole]
    others = set(exact)
    near = [
        e["id"] for e, share in zip(examples, shared, strict=True) if share.fraction > NEAR and e["id"] not in others
    ]
    of_template = [
        e["id"]
        for e, found, usable in zip(examples, templates, masked, strict=True)
        if found and usable and e["id"] not in others
    ]
    return [
        *_exact(evidence, exact),
        *(
            _on_purpose(evidence, near, of_template)
            if evidence.shares_templates
            else _alike(evidence, near, of_template)
        ),
    ]


def _exact(evidence: Evidence, ids: list[str]) -> list[Pitfall]:
    if not ids:
        return []
    k, n = len(ids), len(evidence.questions)
    return [
        Pitfall(
            "test-question-in-training",
            f"{k} of {n} test questions are word for word in what the student was trained on{_right(evidence, ids)}: take these "
            "rows out of the training data and train again, or count these questions for no system.",
            {"n": n, "in_training": k, "ids": few(ids), **_counts(evidence, ids)},
        )
    ]


def _alike(evidence: Evidence, near: list[str], of_template: list[str]) -> list[Pitfall]:
    n, found = len(evidence.questions), []
    if len(near) > MOST_NEAR * n:
        found.append(
            Pitfall(
                "near-test-question-in-training",
                f"{len(near)} of {n} test questions share more than {100 * NEAR:.0f} % of their words, in runs of {RUN}, with one text that the "
                f"student was trained on{_right(evidence, near)}: read them, and take what is the same question out of training.",
                {"n": n, "near": len(near), "fraction": NEAR, "run": RUN, "ids": few(near), **_counts(evidence, near)},
            )
        )
    if len(of_template) >= TEMPLATES * n:
        found.append(
            Pitfall(
                "template-in-training",
                f"{len(of_template)} of {n} test questions differ from a training question in numbers and names only, so that this test "
                "says little about questions of other templates: give the rows of one template the same group (data.columns), and no "
                "group is in two splits.",
                {"n": n, "of_template": len(of_template), "ids": few(of_template)},
            )
        )
    return found


def _on_purpose(evidence: Evidence, near: list[str], of_template: list[str]) -> list[Pitfall]:
    """What is said of a split that has the templates of training because it was made to have them."""
    n, ids = len(evidence.questions), list(dict.fromkeys([*of_template, *near]))
    if not ids:
        return []
    return [
        Pitfall(
            "template-in-training",
            f"This split has the templates of training on purpose: {len(ids)} of {n} questions differ from a training question in "
            "numbers and names only, or are nearly one, so that it measures known templates with new values; test_unseen measures "
            "new templates.",
            {"n": n, "alike": len(ids), "of_template": len(of_template), "ids": few(ids)},
            alarm=False,
        )
    ]


def _right(evidence: Evidence, ids: Collection[str]) -> str:
    """How often the student is right in these and in the other questions, in words."""
    counts = _counts(evidence, ids)
    if not counts:
        return ""
    return (
        f" (of these the student answers {counts['right']} of {counts['answered']} correctly, of the others "
        f"{counts['right_elsewhere']} of {counts['answered_elsewhere']})"
    )


def _counts(evidence: Evidence, ids: Collection[str]) -> dict[str, int]:
    student = next((one for one in evidence.evaluated if one.system.name == STUDENT), None)
    if student is None or not evidence.decided:
        return {}
    seen = set(ids)
    counts = dict.fromkeys(("answered", "right", "answered_elsewhere", "right_elsewhere"), 0)
    for row in evidence.rows(student):
        where = "" if row["id"] in seen else "_elsewhere"
        counts[f"answered{where}"] += 1
        counts[f"right{where}"] += row["outcome"] == Outcome.CORRECT
    return counts


def _last(found: list[int]) -> int | None:
    return found[-1] if found else None
