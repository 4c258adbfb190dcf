"""The word problems: what the templates are, what a question says, and the stream."""

import random
import re
import time
from collections import Counter
from functools import cache
from itertools import islice, product
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.data.examples import examples
from potstill.data.word_problems import questions
from potstill.data.word_problems.stream import DISTRACTORS, MEN, TEMPLATES, WOMEN, compose
from potstill.data.word_problems.template import LIMIT, NUMBERS, Line, Situation, Template, draw, line, plural
from potstill.recipe.data import WordProblems
from potstill.tasks.math import Math

BY_NAME = {template.name: template for template in TEMPLATES}
SITUATIONS = sorted({template.situation.name for template in TEMPLATES})
LINES = {(t.situation.name, of.expression, of.wordings): of for t in TEMPLATES for of in t.lines}.values()
WORDINGS = [wording for of in LINES for wording in of.wordings]


@cache
def problems(name):
    rng = random.Random(name)
    return [compose(BY_NAME[name], rng) for _ in range(200)]


def problems_of(situation):
    return [problem for name in BY_NAME if BY_NAME[name].situation.name == situation for problem in problems(name)]


def story(problem):
    """The question without its irrelevant sentence."""
    return problem.question.replace(problem.distractor, "") if problem.distractor else problem.question


def numbers_in(text):
    return [int(number) for number in re.findall(r"\d+", text)]


# ---- templates ----


def test_at_least_120_templates_and_40_unseen_ones_with_one_to_four_steps():
    assert len(TEMPLATES) >= 120
    for unseen in (False, True):
        steps = Counter(template.steps for template in TEMPLATES if template.unseen == unseen)
        assert sum(steps.values()) >= 40
        assert set(steps) == {1, 2, 3, 4}
        assert min(steps.values()) >= 15


def test_templates_differ_in_situation_or_operations_not_in_words_only():
    assert len({template.name for template in TEMPLATES}) == len(TEMPLATES)
    assert len({(template.situation.name, template.signature) for template in TEMPLATES}) == len(TEMPLATES)
    assert len({template.signature for template in TEMPLATES}) >= 120


def test_no_unseen_template_has_the_situation_and_operations_of_a_trained_one():
    trained, unseen = ({(t.situation.name, t.signature) for t in TEMPLATES if t.unseen == u} for u in (False, True))
    assert not trained & unseen


def test_unseen_templates_include_whole_situations_and_operations_that_training_never_has():
    trained, unseen = ([t for t in TEMPLATES if t.unseen == u] for u in (False, True))
    known = {t.situation.name for t in trained}
    assert sum(t.situation.name not in known for t in unseen) >= 40
    assert sum(t.situation.name in known for t in unseen) >= 40
    assert len({t.signature for t in unseen} - {t.signature for t in trained}) >= 15


def test_every_line_of_a_situation_is_used_and_says_the_numbers_of_its_expression():
    for situation in {t.situation.name: t.situation for t in TEMPLATES}.values():
        used = " ".join((*situation.trained, *situation.unseen)).split()
        assert set(used) == set(situation.lines), situation.name
    for of in LINES:
        letters = sorted({token for token in of.tokens if token in NUMBERS})
        for wording in of.wordings:
            assert sorted(re.findall(r"\{(\w)\}", wording)) == letters, wording


def test_no_template_is_of_the_kind_of_the_few_shot_examples():
    words = " ".join(WORDINGS) + " ".join(str(t.situation.nouns) for t in TEMPLATES)
    assert not re.search(r"\b(egg|carton|rope|piece)", words)
    kinds = {(t.situation.name, t.signature) for t in TEMPLATES}
    # A number of things and so many packs of them.
    assert {name for name, signature in kinds if signature == "n n n * +"} == {"savings", "minutes", "hedge"}
    # Half of what is left when so many pieces are cut off.
    assert "n n n * - 2 /" not in {signature for _, signature in kinds}


@pytest.mark.parametrize(("noun", "nouns"), [("bun", "buns"), ("sandwich", "sandwiches"), ("toy car", "toy cars")])
def test_plurals(noun, nouns):
    assert plural(noun) == nouns


# ---- questions ----

# The answer from the numbers in the order of the text, by someone who has read the text only.
READ = {
    "toys-has-find-half-give-now": lambda a, b, c: (a + b) / 2 - c,
    "toys-has-bags-give-friends": lambda a, k, n, b, f: (a + k * n - b) / f,
    "compare-has-fewer-other": lambda a, b: a - b,
    "compare-has-times-ahead": lambda a, m: m * a - a,
    "compare-has-times-third-all": lambda a, m, c: a + m * a + (m * a + c),
    "compare-has-more-equal": lambda a, b: (a + a + b) / 2,
    "compare-has-fewer-thirdtwice-all": lambda a, b: a + (a - b) + 2 * (a - b),
    "baking-trays-more-eat-left": lambda k, n, j, m, b: k * n + j * m - b,
    "baking-trays-eat-sell": lambda k, n, b, d: (k * n - b) * d,
    "bus-on-half-both-seats": lambda a, b, c, s: s - (a / 2 - b + c),
    "books-shelves-table-half-sell-now": lambda k, n, b, c: (k * n + b) / 2 - c,
    "workshop-machines-order": lambda k, n, t: t / (k * n),
    "workshop-machines-hours-faulty-boxes": lambda k, n, d, b, c: (k * n * d - b) / c,
    "shop-buys-also-coupon-pays": lambda k, p, j, q, b: k * p + j * q - b,
    "shop-buys-also-split": lambda k, p, j, q: (k * p + j * q) / 2,
    "savings-has-weekly-spends-bicycle": lambda a, k, n, b, t: t - (a + k * n - b),
    "savings-has-gift-daily-now": lambda a, b, k, d: a + b - k * d,
    "orchard-trees-plants-baskets-keeps-tosell": lambda k, b, n, c: (k + b) * n - c,
    "orchard-trees-baskets-keeps-sellrest-stall": lambda k, n, b, d, c: (k * n - b) * d - c,
    "work-hours-unpaid-wage-tips-earn": lambda b, c, e, p, t: (b + c - e) * p + t,
    "outing-group-ill-ticket-discount-pay": lambda b, c, e, p, d: (b + c - e) * p - d,
    "ride-plan-train-rest": lambda t, u, v: (t - u) / v,
    "reading-book-saturday-sunday-rest": lambda t, u, v, k: (t - u - v) / k,
    "reading-book-daily-faster-left": lambda t, n, k, m, j: t - n * k - m * j,
    "minutes-supper-homework-play-solve-left": lambda t, u, v, k, n: t - u - v - k * n,
    "points-rounds-lose-joker-behind": lambda k, n, b, t: t - (k * n - b) * 2,
    "sales-monday-more-fewer-three": lambda f, b, c: f + (f + b) + (f + b - c),
    "sales-monday-times-stock": lambda f, m, t: t - (f + m * f),
    "earlier-found-passed-hasafter-first": lambda b, c, a: a + c - b,
    "earlier-halved-atehalf-halfafter-first": lambda c, a: (a + c) * 2,
    "earlier-shared-got-ate-kept-first": lambda k, n, c, b: k * n + c + b,
    "ages-is-twice-third-thirdlater": lambda f, c, b: 2 * f - c + b,
    "ages-is-beside-sum": lambda f, b: f + f + b,
    "garden-sides-pond-rest": lambda a, b, c: a * b - c,
    "garden-sides-fence-gate-cost": lambda a, b, e, d: (2 * (a + b) - e) * d,
    "tank-has-buckets-leak-now": lambda a, k, n, j, d: a + k * n - j * d,
    "hall-rows-bring-stand": lambda k, n, b, s: s - (k * n + b),
    "parcels-vans-cars-drivers": lambda k, n, j, m, d: (k * n + j * m) / d,
    "lift-at-down-last-again-where": lambda f, a, b, c: f - a + b - c,
    "hedge-is-grows-beside": lambda t, n, k, b: t + n * k + b,
    "farm-has-sold-buys-hay": lambda a, b, c, d: (a - b + c) * d,
}


@pytest.mark.parametrize("name", READ)
def test_the_answer_is_what_a_reader_computes(name):
    for problem in problems(name):
        assert READ[name](*numbers_in(story(problem))) == problem.answer, problem.question


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_number_is_used_and_every_step_is_a_positive_integer(situation):
    for problem in problems_of(situation):
        template = problem.template
        numbers = numbers_in(story(problem))
        assert len(problem.operations) == template.steps
        assert len(numbers) == template.signature.split().count("n")
        known = [*numbers, 2]  # half, twice
        used = []
        for operator, left, right, result in problem.operations:
            assert left in known
            assert right in known
            assert {"+": left + right, "-": left - right, "*": left * right, "/": left / right}[operator] == result
            assert 2 <= result <= LIMIT
            known.append(result)
            used += [left, right]
        assert set(numbers) <= set(used)
        assert problem.operations[-1][3] == problem.answer


MISTAKES = [
    r"  ",
    r"[{}|]",
    r"\b1 ",
    r"\b[Aa] [aeiou]",
    r"\b[Aa]n [^aeiouh]",
    r"\b(\w+) \1\b",
    r"[.?] [a-z]",
    r"\d \w+ is\b",
    r" [.,?]",
]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_questions_are_grammatical(situation):
    for problem in problems_of(situation)[::2]:
        text = problem.question
        assert not [pattern for pattern in MISTAKES if re.search(pattern, text)], text
        assert re.match(r"[A-Z0-9]", text)
        assert text.endswith("?")
        assert text.count("?") == 1
        words = re.findall(r"\w+", text)
        pronouns = {word.lower() for word in words} & {"he", "him", "his", "she", "her"}
        assert pronouns <= {"he", "him", "his"} or pronouns <= {"she", "her"}, text
        # A pronoun stands for the first person of its gender, who is named before.
        own = WOMEN if "she" in pronouns or "her" in pronouns else MEN
        people = [i for i, word in enumerate(words) if word in own]
        if pronouns:
            assert people[0] < min(i for i, word in enumerate(words) if word.lower() in pronouns), text


def test_a_fifth_of_the_questions_has_an_irrelevant_sentence_that_no_question_depends_on():
    everywhere = [problem for template in TEMPLATES for problem in problems(template.name)[:20]]
    assert 0.17 < sum(bool(problem.distractor) for problem in everywhere) / len(everywhere) < 0.23
    counted = {re.search(r"(\w+ )?\{z\}(?: (\w+))?", text)[2] for text in DISTRACTORS} - {None}
    assert counted == {"degrees", "windows", "birds", "songs", "cousins"}
    for word in counted:
        assert not any(word.rstrip("s") in story(problem) for problem in everywhere)
    for problem in everywhere:
        assert not problem.distractor or problem.question.count(problem.distractor) == 1


def test_a_pronoun_is_not_used_where_another_sentence_would_claim_it():
    situation = Situation(
        "s", {}, {"has": line("a", "{name} has {a} cups."), "now": line("", "{who} has how many cups?")}, ("has now",)
    )
    rng = random.Random(1)
    texts = {}
    for problem in (compose(Template(situation, "has now", False), rng) for _ in range(300)):
        texts.setdefault(re.sub(r"\d+", "N", problem.distractor), problem.question)
    assert re.search(r"(He|She) has how many", texts[""])
    for distractor, text in texts.items():
        if "outside" in distractor and not text.startswith(distractor[:5]):
            assert not re.search(r"(He|She) has how many", text)


def test_a_template_has_questions_without_end():
    for template in TEMPLATES:
        assert len({problem.question for problem in problems(template.name)}) >= 180, template.name


@given(
    seed=st.integers(0, 10**9), expression=st.sampled_from(["a b - c -", "t k / b +", "a dup 2 / +", "k n * h swap -"])
)
@settings(max_examples=100, deadline=None)
def test_drawn_numbers_are_within_their_ranges(seed, expression):
    template = Template(Situation("s", {}, {"l": Line(expression, ("",))}, ("l",)), "l", False)
    drawn = draw(template, random.Random(seed))
    assert all(value in NUMBERS[letter] for numbers in drawn.numbers for letter, value in numbers.items())
    values = [value for operation in drawn.operations for value in operation[1:]]
    assert all(isinstance(value, int) for value in values)
    assert 2 <= drawn.answer <= LIMIT


# ---- the stream ----


@pytest.mark.parametrize("unseen", [False, True])
def test_of_ten_questions_four_take_one_step_three_two_two_three_and_one_four(unseen):
    rows = list(islice(questions(3, unseen=unseen), 1000))
    assert Counter(row["steps"] for row in rows) == {"1": 400, "2": 300, "3": 200, "4": 100}
    assert Counter(row["steps"] for row in rows[:20]) == {"1": 8, "2": 6, "3": 4, "4": 2}
    assert len({row["question"] for row in rows}) == 1000
    assert all(int(row["gold"]) > 1 for row in rows)
    assert all(set(row) == {"question", "gold", "group", "steps"} for row in rows)


@pytest.mark.parametrize(("unseen", "steps"), list(product([False, True], "1234")))
def test_templates_occur_equally_often(unseen, steps):
    counts = Counter(row["group"] for row in islice(questions(3, unseen=unseen), 2500) if row["steps"] == steps)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_splits_are_disjoint_and_growing_one_does_not_change_another():
    def splits(**sizes):
        data = WordProblems(**{"train": 200, "validation": 30, "test": 100, "test_unseen": 50} | sizes)
        rows = list(examples(SimpleNamespace(task=Math(), data=data, data_seed=5)))
        assert len({row["question"] for row in rows}) == len(rows)
        return {s: {r["question"] for r in rows if r["split"] == s} for s in ("train", "validation", "test")}

    before, more = splits(), splits(train=300)
    assert before["test"] == more["test"]
    assert before["validation"] == more["validation"]
    assert before["train"] < more["train"]
    assert len(before["train"] - splits(test=101)["train"]) <= 2


def test_the_seed_determines_the_questions_and_unseen_templates_are_separate():
    first = list(islice(questions(1), 50))
    assert first == list(islice(questions(1), 50))
    assert first != list(islice(questions(2), 50))
    assert first != list(islice(questions(1, "validation"), 50))
    seen = {row["group"] for row in islice(questions(1), 2500)}
    unseen = {row["group"] for row in islice(questions(1, unseen=True), 2500)}
    assert not seen & unseen
    assert seen | unseen == {template.name for template in TEMPLATES}


def test_taken_questions_are_left_out():
    taken = {row["question"] for row in islice(questions(1), 20)}
    assert not taken & {row["question"] for row in islice(questions(1, taken=taken), 200)}


def test_ten_thousand_questions_take_seconds():
    began = time.process_time()
    assert sum(1 for _ in islice(questions(1), 10_000)) == 10_000
    assert time.process_time() - began < 10
