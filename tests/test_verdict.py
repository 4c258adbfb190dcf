"""What is decided: non-inferiority, groups, corrections, the four decisions, what the verdict says of itself, and the schema.

Expected limits are by formulas that are not potstill's: Tango's by root finding, those of equal groups by Student's t of the
groups' means.
"""

import json
from math import sqrt
from statistics import fmean, stdev

import jsonschema
import pytest
from scipy.optimize import brentq
from scipy.stats import norm, t

from golden import ABOUT, concluded, in_words, line_of, of_pair, pair, rows, summarize
from potstill import stats
from potstill.cli.conclusion import conclusion
from potstill.recipe import loading
from potstill.stages.evaluate.notes import about
from potstill.stages.evaluate.result import schema
from potstill.tasks.classification import Classification
from potstill.tasks.math import Math


def grouped(table, size):
    """The same rows in groups of ``size`` questions that follow each other."""
    return [row | {"group": f"g{i // size}"} for i, row in enumerate(table)]


def spread(table):
    """The same rows, each its own group."""
    return [row | {"group": row["id"]} for row in table]


def tango_low(only_a, only_b, n, level):
    """The difference d at which the score test has the quantile of ``level``; the nuisance maximises the likelihood numerically."""
    z = norm.ppf(level)

    def score(d):
        # q21 solves 2n x^2 + B x + C = 0 (Tango 1998).
        b, c = -only_a - only_b + (2 * n - only_a + only_b) * d, -only_b * d * (1 - d)
        q = (sqrt(b * b - 8 * n * c) - b) / (4 * n)
        return (only_a - only_b - n * d) / sqrt(n * (2 * q + d * (1 - d)))

    return brentq(lambda d: score(d) - z, -0.999, (only_a - only_b) / n - 1e-9)


def teacher_pair(*table, **options):
    student, teacher = pair(*table)
    return summarize({"student": student, "teacher-cot": teacher}, Math(), **options)


# Non-inferiority


@pytest.mark.parametrize(("table", "shown"), [((290, 3, 2, 105), True), ((290, 2, 30, 78), False)])
def test_non_inferiority_is_a_statement_of_its_own(table, shown):
    n = sum(table)
    (compared,) = teacher_pair(*table)["comparisons"]
    low = tango_low(table[1], table[2], n, 0.95)
    assert compared["not_worse"]["limit"] == pytest.approx(low, abs=1e-6)
    assert compared["not_worse"]["shown"] is shown is (low > -0.05)
    high = -tango_low(table[2], table[1], n, 0.95)
    assert compared["matched"]["limit"] == pytest.approx(high, abs=1e-6)


def test_the_margin_is_in_the_sentence_and_not_shown_says_what_it_would_take():
    """2 points worse, 8 % discordant: (1.645 + 0.842)^2 (0.08 - 0.02^2) / 0.03^2 = 547 questions."""
    line = line_of(teacher_pair(80, 3, 5, 12))
    assert "] points: not distinguishable; not worse by 5 points is not shown (at worst -7; about" in line
    assert "; about 550 questions would show it if this difference is the true one)" in line
    assert "not worse by 10 points (at worst " in line_of(teacher_pair(80, 3, 5, 12, margin=0.1))


def test_no_number_of_questions_is_promised_where_none_would_do():
    (compared,) = teacher_pair(50, 2, 20, 28)["comparisons"]
    assert compared["needed"] == {"difference": None, "not_worse": None}  # it is shown to be worse
    assert "would show it" not in line_of(teacher_pair(50, 2, 20, 28))


def test_no_significant_difference_is_never_called_equal():
    for table in ((10, 1, 1, 8), (20, 3, 3, 14), (6, 0, 0, 0)):
        (compared,) = of_pair(pair(*table))["comparisons"]
        assert compared["finding"] == "not distinguishable"


def test_truncated_answers_of_the_student_count_against_it():
    """As if correct, it would not be worse; as incorrect, it is 10 points below."""
    student = rows((360, "correct"), (40, "truncated"))
    teacher = rows((400, "correct"))
    (compared,) = summarize({"student": student, "teacher-cot": teacher}, Math())["comparisons"]
    assert not compared["not_worse"]["shown"]
    assert compared["bounds"]["upper"]["not_worse"]["shown"]


# Groups


def test_groups_of_equal_size_are_the_observations():
    student, base = pair(30, 40, 10, 20)
    mixed = [i * 37 % 100 for i in range(100)]  # every group has its part of each kind of question
    student, base = ([table[i] for i in mixed] for table in (student, base))
    values = of_pair((grouped(student, 5), grouped(base, 5)))
    (compared,) = values["comparisons"]
    differences = [
        (a["outcome"] == "correct") - (b["outcome"] == "correct") for a, b in zip(student, base, strict=True)
    ]
    means = [fmean(differences[i : i + 5]) for i in range(0, 100, 5)]
    error = stdev(means) / sqrt(20)
    half = t.ppf(0.975, 19) * error
    assert (compared["low"], compared["high"]) == pytest.approx((0.3 - half, 0.3 + half))
    assert compared["p_value"] == pytest.approx(2 * t.sf(0.3 / error, 19))
    right = [[one["outcome"] == "correct" for one in of] for of in (student, base)]
    expected = stats.clustered_noninferiority(*right, [i // 5 for i in range(100)], 0.05)
    assert (compared["not_worse"]["limit"], compared["not_worse"]["p_value"]) == (expected.low, expected.p_value)
    assert 0 < expected.low < 0.3
    assert compared["design_effect"] == pytest.approx(error**2 / (stdev(differences) ** 2 / 100))
    assert (compared["groups"], compared["clustered"], values["groups"]) == (20, True, 20)
    assert compared["sign_flip_p_value"] is not None  # fewer than 30 groups
    assert "(test, 100 questions in 20 groups)" in line_of(values)


def test_questions_that_stand_alone_are_independent():
    (compared,) = of_pair(pair(30, 40, 10, 20))["comparisons"]
    assert (compared["clustered"], compared["groups"], compared["sign_flip_p_value"]) == (False, 100, None)


def test_one_group_shows_nothing_whatever_its_size():
    """50 questions of one template, all won: another template might turn out the other way round."""
    values = of_pair([grouped(table, 50) for table in pair(0, 50, 0, 0)])
    (compared,) = values["comparisons"]
    assert (compared["low"], compared["high"], compared["finding"]) == (-1, 1, "not distinguishable")
    assert not compared["not_worse"]["shown"]
    student = values["systems"]["student"]["metrics"]["accuracy"]
    assert (student["low"], student["high"]) == (0, 1)
    assert compared["design_effect"] is None


def test_groups_that_agree_within_themselves_widen_every_interval():
    """Ten questions a group, all answered alike: ten times the questions say no more than one of each."""
    student, base = ([row for row in table for _ in range(10)] for table in pair(10, 12, 2, 6))
    student, base = ([row | {"id": f"q{i}"} for i, row in enumerate(table)] for table in (student, base))
    alone, together = (
        of_pair([regroup(table) for table in (student, base)]) for regroup in (spread, lambda table: grouped(table, 10))
    )
    for name in ("accuracy", "strict", "lenient"):
        one, other = (values["systems"]["student"]["metrics"][name] for values in (alone, together))
        assert other["high"] - other["low"] > 2.5 * (one["high"] - one["low"])
    one, other = (values["comparisons"][0] for values in (alone, together))
    assert other["high"] - other["low"] > 2.5 * (one["high"] - one["low"])
    assert other["design_effect"] == pytest.approx(10, rel=0.05)
    assert (one["finding"], other["finding"]) == ("better", "better")


def test_macro_f1_and_scores_are_clustered_too():
    task = Classification(name="classification", labels=["a", "b"])
    table = [
        row | {"gold": "ab"[i % 2], "answer": "ab"[(i + i // 10) % 2]} for i, row in enumerate(rows((200, "correct")))
    ]
    for row in table:
        row["scores"] = {"accuracy": 1.0, "extra": float(row["answer"] == row["gold"]), "strict": 1.0, "lenient": 1.0}
    alone, together = (
        summarize({"student": regroup(table)}, task)["systems"]["student"]["metrics"]
        for regroup in (spread, lambda table: grouped(table, 10))
    )
    for name in ("macro_f1", "extra"):
        assert together[name]["high"] - together[name]["low"] > 1.5 * (alone[name]["high"] - alone[name]["low"])


# Corrections


def test_holm_for_what_the_verdict_speaks_of_and_benjamini_hochberg_for_the_rest():
    tables = {
        "base": rows((70, "correct"), (30, "incorrect")),
        "base-fewshot": rows((78, "correct"), (22, "incorrect")),
        "student": rows((80, "correct"), (20, "incorrect")),
        "teacher-cot": rows((74, "correct"), (26, "incorrect")),
    }
    values = concluded({"test": summarize(tables, Math())})
    compared = {c["b"]: c for c in values["splits"]["test"]["comparisons"]}
    p = {name: c["p_value"] for name, c in compared.items()}
    assert p["base"] == pytest.approx(2 / 2**10)
    assert p["teacher-cot"] == pytest.approx(2 / 2**6)
    assert p["base-fewshot"] == pytest.approx(0.5)
    adjusted = {name: (c["correction"], c["p_adjusted"]) for name, c in compared.items()}
    assert adjusted["base"] == ("holm", pytest.approx(2 * p["base"]))
    assert adjusted["teacher-cot"] == ("holm", pytest.approx(p["teacher-cot"]))
    assert adjusted["base-fewshot"] == ("bh", pytest.approx(0.5))
    assert values["about"]["tests"] == 2
    assert "The verdict rests on 2 tests, corrected by Holm's method" in "\n".join(values["verdict"]["notes"])


def test_a_finding_does_not_survive_many_tests():
    """p = 2 / 2^6 = 0.031 alone; with two splits and two other systems each, four tests."""
    tables = {
        "base": rows((74, "correct"), (26, "incorrect")),
        "student": rows((80, "correct"), (20, "incorrect")),
        "teacher-cot": rows((80, "correct"), (20, "incorrect")),
    }
    alone = concluded({"test": summarize({k: tables[k] for k in ("base", "student")}, Math())})
    many = concluded(dict.fromkeys(("test_unseen", "test"), summarize(tables, Math())))
    assert alone["splits"]["test"]["comparisons"][0]["finding"] == "better"
    assert many["splits"]["test"]["comparisons"][0]["p_adjusted"] == pytest.approx(4 * 2 / 2**6)
    assert many["splits"]["test"]["comparisons"][0]["finding"] == "not distinguishable"


# Decisions

STUDENT = rows((160, "correct"), (40, "incorrect"))


def decided(base, teacher, **others):
    tables = {"base": rows(*base), "student": STUDENT, "teacher-cot": rows(*teacher)} | others
    return concluded({"test": summarize(tables, Math())})["verdict"]


@pytest.mark.parametrize(
    ("base", "teacher", "decision", "reason"),
    [
        (((100, "correct"), (100, "incorrect")), ((160, "correct"), (40, "incorrect")), "distilled", "better than what is cheaper, and not worse than the teacher by 5 points"),
        (((100, "correct"), (100, "incorrect")), ((190, "correct"), (10, "incorrect")), "not yet", "worse than the teacher (teacher-cot)"),
        (((160, "correct"), (40, "incorrect")), ((190, "correct"), (10, "incorrect")), "do not distil", "base, which needs no student, is as good or better"),
        (((200, "correct"),), ((160, "correct"), (40, "incorrect")), "do not distil", "base"),
        (((100, "correct"), (100, "incorrect")), ((164, "correct"), (36, "incorrect")), "distilled", ""),
        (((100, "correct"), (100, "incorrect")), ((150, "correct"), (20, "incorrect"), (19, "correct"), (11, "incorrect")), "not distinguishable", "200 questions do not show that the student is not worse than teacher-cot by 5 points"),
    ],
)  # fmt: skip
def test_the_decision_and_its_reason(base, teacher, decision, reason):
    said = decided(base, teacher)
    assert said["decision"] == said["splits"]["test"] == decision
    assert said["lines"][0].startswith(f"{decision.upper()}: ")
    assert reason in said["lines"][0]
    assert len(said["lines"]) <= 3


def test_a_cheaper_model_of_the_users_counts_and_another_teacher_does_not():
    rival = {"name": "rival", "model": "packaged/smollm2-135m-instruct"}
    for cheaper, decision in ((True, "do not distil"), (False, "distilled")):
        system = loading.parse(
            "name: x\ntask: math\ndata: {source: files, train: t.jsonl}\nteacher: {model: packaged/qwen2.5-coder-0.5b-instruct}\n"
            "student: {model: packaged/smollm2-135m-instruct}\n"
            f"evaluate: {{systems: [base, student, {json.dumps(rival | {'cheaper': cheaper})}]}}\n"
        ).systems[2]
        assert system.is_cheaper is cheaper
        values = summarize(
            {"base": rows((100, "correct"), (100, "incorrect")), "student": STUDENT, "teacher-cot": STUDENT}, Math(),
            others=[(system, STUDENT)],
        )  # fmt: skip
        said = concluded({"test": values})["verdict"]
        assert said["decision"] == decision
        assert ("rival, which needs no student, is as good" in said["lines"][0]) is cheaper


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"student": STUDENT}, "the base was not evaluated; the teacher was not evaluated"),
        ({"student": STUDENT, "base": rows((100, "correct"), (100, "incorrect"))}, "the teacher was not evaluated"),
        ({"student": STUDENT, "teacher-cot": STUDENT}, "the base was not evaluated"),
        ({"base": STUDENT}, "the student was not evaluated"),
    ],
)
def test_nothing_is_decided_without_all_three(tables, reason):
    said = concluded({"test": summarize(tables, Math())})["verdict"]
    assert (said["decision"], said["lines"][0]) == ("undecided", f"UNDECIDED: {reason}.")


def test_a_run_is_distilled_only_if_every_split_says_so():
    good = summarize(
        {"base": rows((100, "correct"), (100, "incorrect")), "student": STUDENT, "teacher-cot": STUDENT}, Math()
    )
    bad = summarize(
        {"base": rows((100, "correct"), (100, "incorrect")), "student": STUDENT, "teacher-cot": rows((200, "correct"))},
        Math(),
    )
    said = concluded({"test_unseen": bad, "test": good})["verdict"]
    assert said["decision"] == "not yet"
    assert said["splits"] == {"test_unseen": "not yet", "test": "distilled"}


# What the verdict says of itself


def test_the_notes():
    values = of_pair(pair(36, 12, 2, 0))
    text = in_words(
        {"test": values},
        base_quantization="Q4_K_M",
        gold="filtered by",
        prompts={"student": "plain", "base": "fewshot"},
    )
    for note in (
        "One student was trained, with seed 3",
        "dequantized from Q4_K_M",
        "Gold answers of training questions were used: they filtered the teacher's answers.",
        "read by lenient extraction",
        "The prompts differ: the student was asked with plain, base with fewshot.",
        "Intervals are at 95 %. The verdict rests on 1 test, corrected by Holm's method",
    ):
        assert note in text
    assert "dequantized" not in in_words({"test": values})
    assert "prompts differ" not in in_words({"test": values})


def test_the_majority_class_is_said():
    task = Classification(name="classification", labels=["a", "b"])
    table = [row | {"gold": "a" if i < 8 else "b", "answer": "a"} for i, row in enumerate(rows((10, "correct")))]
    values = summarize({"student": table, "base": table}, task)
    assert values["majority"] == {"label": "a", "share": 0.8}
    assert "always answering 'a' would be correct for 80 % of the questions" in in_words({"test": values})
    assert of_pair(pair(36, 12, 2, 0))["majority"] is None


@pytest.mark.parametrize(
    ("more", "gold", "quantization"),
    [
        ("condition: gold", "trained on", "Q4_1"),
        ("curate: {filters: [parsed, correct]}", "filtered by", "Q4_1"),
        ("curate: {filters: [parsed]}", "not used", "Q4_1"),
    ],
)
def test_what_the_notes_rest_on_comes_from_the_recipe(more, gold, quantization):
    recipe = loading.parse(
        "name: x\ntask: math\nseed: 4\ndata: {source: files, train: t.jsonl}\nteacher: {model: packaged/qwen2.5-coder-0.5b-instruct}\n"
        f"student: {{model: packaged/smollm2-135m-instruct}}\n{more}\n"
    )
    known = about(recipe, 2)
    assert (known["gold"], known["tests"], known["train_seed"]) == (gold, 2, 4)
    assert known["base_quantization"] == recipe.student.model.quantization
    assert known["prompts"]["student"] == "plain"
    assert known["not_asked"] == ["base-retrieved"]  # word problems have no labels for a linear model
    text = in_words({"test": of_pair(pair(36, 12, 2, 0))}, not_asked=known["not_asked"])
    assert "Cheaper ways that were not evaluated: base-retrieved" in text


def test_no_answer_is_filtered_by_gold_where_no_score_says_which_are_correct():
    recipe = loading.parse(
        "name: x\ntask: conversation\ndata: {source: files, train: t.jsonl}\nteacher: {model: packaged/qwen2.5-coder-0.5b-instruct}\n"
        "student: {model: packaged/smollm2-135m-instruct}\n"
    )
    assert about(recipe, 1)["gold"] == "not used"


# The file and the terminal


def test_every_number_of_the_sentences_is_in_the_file_under_its_schema():
    tables = {"base": rows((70, "correct"), (30, "truncated")), "student": STUDENT[:100], "teacher-cot": STUDENT[:100]}
    splits = {"test_unseen": summarize({k: grouped(v, 4) for k, v in tables.items()}, Math()),
              "test": summarize(tables, Math())}  # fmt: skip
    values = concluded(splits)
    for split in values["splits"].values():
        split["sealed"] |= {"sha256": "a", "first_used": "b", "test_sets": 1, "settings": {}}
    text = json.dumps(values, allow_nan=False)
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(text), schema())
    broken = json.loads(text)
    del broken["splits"]["test"]["comparisons"][0]["not_worse"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema())


def test_the_terminal_shows_the_verdict_first_then_the_table():
    tables = {"base": rows((100, "correct"), (100, "incorrect")), "student": STUDENT, "teacher-cot": STUDENT}
    text = conclusion(concluded({"test": summarize(tables, Math())}))
    assert text.startswith("DISTILLED: ")
    assert text.index("DISTILLED") < text.index("correct, %") < text.index("- Intervals are at 95 %.")
    assert max(map(len, text.splitlines())) <= 120
    assert "base         50 [43, 57]  student better" in text
    assert ABOUT["extraction"] in text
