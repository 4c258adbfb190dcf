"""`potstill.metrics` against published values, simple definitions, and texts that would take long."""

import random
import time
from math import exp, log

import pytest

from potstill import metrics

FOX = "The quick brown fox jumps over the lazy dog"


def test_rouge_agrees_with_the_published_examples():
    # Lin 2004, section 3: S1 "police killed the gunman", S2 "police kill the gunman", S3 "the gunman kill police".
    reference = "police killed the gunman"
    assert metrics.rouge("police kill the gunman", reference)["rougeL"] == 0.75
    assert metrics.rouge("the gunman kill police", reference)["rougeL"] == 0.5
    assert metrics.rouge("police kill the gunman", reference)["rouge2"] == pytest.approx(1 / 3)
    assert metrics.rouge("a", "") == metrics.rouge("", "a") == {"rouge1": 0.0, "rouge2": 0.0, "rougeL": 0.0}
    # Section 3.2: w1 w2 w3 w4 w5 against w1 w2 w6 w7 w8 and w1 w3 w8 w9 w5 as two lines: recall 4 / 5, precision 4 / 10.
    lines = "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"
    assert metrics.rouge(lines, "w1 w2 w3 w4 w5", ["rougeLsum"])["rougeLsum"] == pytest.approx(2 * 0.8 * 0.4 / 1.2)


def test_entities_of_a_summary():
    source = "Ann Lee met Bob in Oslo on 12 May. They paid $30."
    assert metrics.entities("On Monday, Ann Lee paid $30. The city was Oslo.") == ["Monday", "Ann Lee", "Oslo", "$30"]
    assert metrics.unsupported_entities(source, "Ann Lee and Carl met in Oslo for $40.") == ["Carl", "$40"]
    assert metrics.entity_density("Ann met Bob in Oslo.") > metrics.entity_density("They met in a city.")
    assert metrics.repetition("a b c d a b c d") == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("Don't, 3.5 €!", ["don", "'", "t", ",", "3", ".", "5", "€", "!"]), ("桥被 iPhone关。", ["桥", "被", "iphone", "关", "。"]),
     ("", [])],
)  # fmt: skip
def test_tokens(text, tokens):
    assert metrics.tokens(text) == tokens


# Matches


@pytest.mark.parametrize(
    ("answer", "reference", "options", "expected"),
    [
        ("Paris", "Paris", {}, 1), (" Paris\n", "Paris", {}, 1), (" Paris", "Paris", {"strip": False}, 0), ("paris", "Paris", {}, 0),
        ("Paris, France", "Paris", {"where": "prefix"}, 1), ("In Paris", "Paris", {"where": "suffix"}, 1),
        ("In Paris", "Paris", {"where": "prefix"}, 0), ("The Paris!", "paris", {"normalize": metrics.normalize_squad}, 1),
        ("", "", {}, 1), ("", "x", {"where": "prefix"}, 0), ("x", "", {"where": "prefix"}, 0), ("", "x", {}, 0),
    ],
)  # fmt: skip
def test_exact_match(answer, reference, options, expected):
    assert metrics.exact_match(answer, reference, **options) == expected


def test_token_f1_counts_words_as_often_as_both_have_them():
    assert metrics.token_f1("the the cat", "the cat sat") == pytest.approx(2 / 3)
    assert metrics.token_f1("the the cat", "the cat sat", distinct=True) == pytest.approx(4 / 5)
    # Rajpurkar et al. 2016: articles and punctuation are ignored.
    assert metrics.token_f1("The Cat!", "a cat", normalize=metrics.normalize_squad) == 1
    assert [metrics.token_f1(*pair) for pair in (("", ""), ("", "a"), ("a", ""), ("a", "b"))] == [1, 0, 0, 0]
    with pytest.raises(ValueError, match="full, prefix or suffix"):
        metrics.exact_match("a", "a", where="middle")


@pytest.mark.parametrize(
    ("answer", "references", "exact", "f1"),
    [
        ("the 4", ["4.0"], 1, 1), ("four", ["4"], 0, 0), (["a b", "c"], [["C", "B a"]], 1, 1), ("5 yards", ["4 yards"], 0, 0),
        ("blue car", ["red car", "blue-car"], 1, 1), ("x", [], 0, 0), ("x", [""], 0, 0), ([], ["x"], 0, 0), ("x", [["x", "y"]], 0, 0.5),
        (["Jones", "Brown"], [["Brown", "Smith"]], 0, 0.5), ("red big car", ["red car"], 0, 0.8),
    ],
)  # fmt: skip
def test_drop(answer, references, exact, f1):
    scored = metrics.drop_score(answer, references)
    assert (scored.exact_match, scored.f1) == (exact, f1)


# Edits and copies


def slow_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_edit_distances_are_those_of_the_definition():
    draw = random.Random(0)
    for _ in range(300):
        a, b = (draw.choices("abcd", k=draw.randint(0, 70)) for _ in range(2))
        distance = slow_distance(a, b)
        assert metrics.edit_distance(" ".join(a), " ".join(b)) == distance
        similarity = 1 - distance / max(len(a), len(b)) if a and b else 0
        assert metrics.edit_similarity(" ".join(a), " ".join(b)) == pytest.approx(similarity)
    assert metrics.common_prefix("Once upon a time", "Once upon another") == 2


def longest(summary, start, source):
    """The longest run of ``source`` at ``start`` of the summary, by trying all."""
    length = 0
    while start + length < len(summary) and any(
        source[i : i + length + 1] == summary[start : start + length + 1] for i in range(len(source) - length)
    ):
        length += 1
    return length


def test_extractiveness_is_that_of_the_definition():
    # Grusky et al. 2018: one fragment of nine tokens; a source of twice as many.
    copied = metrics.extractiveness(FOX, f"{FOX}. The fox is very fast and agile.")
    assert (copied.coverage, copied.density, copied.compression) == (1.0, 9.0, 2.0)
    draw = random.Random(1)
    for _ in range(200):
        summary, source = (draw.choices("abc", k=draw.randint(1, 30)) for _ in range(2))
        fragments, start = [], 0
        while start < len(summary):
            fragments.append(longest(summary, start, source))
            start += max(1, fragments[-1])
        found = metrics.extractiveness(" ".join(summary), " ".join(source))
        assert found.coverage == pytest.approx(sum(fragments) / len(summary))
        assert found.density == pytest.approx(sum(n * n for n in fragments) / len(summary))
    nothing = metrics.extractiveness("", "a")
    assert (nothing.coverage, nothing.density, nothing.compression) == (0, 0, 0)


# Samples


def test_samples_of_one_question():
    assert metrics.avg_at_k([True, False, True], 2) == 0.5
    assert metrics.maj_at_k(["a", "b", "b"], "b", 3) == 1
    assert metrics.maj_at_k(["a", "b", "b"], "b", 2) == 0  # the first of equally frequent ones
    assert metrics.maj_at_k([None, None, "b"], "b", 3) == 1
    assert metrics.maj_at_k([None], "b", 1) == 0
    assert metrics.pass_at_k(3, 1, 2) == pytest.approx(2 / 3)
    assert [metrics.pass_at_k(4, c, 2) for c in (0, 3, 4)] == [0, 1, 1]


def test_g_pass_at_k_is_the_share_of_draws_with_enough_correct_answers():
    draw, answers = random.Random(2), [1, 1, 1, 1, 0, 0, 0, 0]
    drawn = [sum(draw.sample(answers, 5)) for _ in range(20_000)]
    for threshold, least in ((0.0, 1), (0.25, 2), (0.5, 3), (0.75, 4), (1.0, 5)):
        share = sum(n >= least for n in drawn) / len(drawn)
        assert metrics.g_pass_at_k(8, 4, 5, threshold) == pytest.approx(share, abs=0.015)
    assert metrics.g_pass_at_k(8, 4, 5, 0.0) == metrics.pass_at_k(8, 4, 5)
    assert metrics.mean_g_pass_at_k(8, 4, 5) == pytest.approx(0.4 * (4 / 56))


@pytest.mark.parametrize(
    "call",
    [lambda: metrics.pass_at_k(2, 1, 3), lambda: metrics.pass_at_k(2, 3, 1), lambda: metrics.avg_at_k([], 1), lambda: metrics.maj_at_k(["a"], "a", 2),
     lambda: metrics.g_pass_at_k(2, 1, 1, 1.5), lambda: metrics.mean_g_pass_at_k(0, 0, 0), lambda: metrics.bleu([], []),
     lambda: metrics.bleu(["a"], [[""]]), lambda: metrics.chrf(["a", "b"], [["a"]]), lambda: metrics.ter(["a"], [[]]),
     lambda: metrics.bleu_precision("a", ["a"], 5), lambda: metrics.likelihood_accuracy([], [0]), lambda: metrics.reciprocal_rank([0.1], [1]),
     lambda: metrics.recall_at_k([0.1], [0], 0), lambda: metrics.true_mass([float("nan")], [0]), lambda: metrics.word_perplexity([], [])],
)  # fmt: skip
def test_bad_input_is_a_value_error(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()


# Log-likelihoods


def test_log_likelihoods():
    values = [-2.0, -1.0, -1.0, -3.0]
    assert [metrics.likelihood_accuracy(values, [i]) for i in range(4)] == [0, 1, 0, 0]
    assert [metrics.recall_at_k(values, [i], 2) for i in range(4)] == [0, 1, 1, 0]
    assert [metrics.reciprocal_rank(values, [i]) for i in range(4)] == [1 / 3, 1, 1, 1 / 4]
    assert metrics.true_mass([log(0.2), log(0.3), log(0.5)], [0, 1]) == pytest.approx(0.5)
    assert metrics.true_mass([-1000.0, -1000.0], [1]) == 0.5
    assert metrics.word_perplexity([-3.0, -1.0], ["a b", "c d"]) == pytest.approx(exp(1))
    assert metrics.byte_perplexity([-4.0], ["é é"]) == pytest.approx(exp(4 / 5))
    assert metrics.bits_per_byte([-8 * log(2)], ["abcd"]) == pytest.approx(2)


# Translation


def test_corpora_with_several_references_of_different_number():
    answers = ["the cat sat on the mat", "a dog barked loudly again"]
    assert metrics.bleu(answers, [["no", answers[0]], [answers[1]]]) == pytest.approx(100)
    assert metrics.chrf(answers, [["no", answers[0]], [answers[1]]], word_order=2) == pytest.approx(100)
    assert metrics.ter(answers, [[answers[0]], [answers[1]]]) == 0
    # Snover et al. 2006: the shift of "sat on" is one edit, of six words.
    assert metrics.ter(["the cat on the mat sat"], [["the cat sat on the mat"]]) == pytest.approx(100 / 6)
    # Papineni et al. 2002, example 2: "the" seven times has a clipped precision of 2 / 7.
    seven = "the the the the the the the"
    assert metrics.bleu_precision(seven, ["the cat is on the mat"], 1) == pytest.approx(2 / 7)


# Time


@pytest.mark.parametrize(
    "text", ["ab " * 100_000, "a " * 150_000, "Name One. " * 30_000, "桥" * 200_000, "x" * 300_000, "?" * 300_000]
)
def test_huge_texts_take_seconds(text):
    other = f"{text[::-1]} z"
    began = time.process_time()
    metrics.rouge(text, other)
    metrics.rouge(text, other, ["rougeLsum"])
    metrics.extractiveness(text, other)
    metrics.edit_similarity(text, other)
    metrics.entity_density(text)
    metrics.token_f1(text, other)
    metrics.drop_score(text, [other])
    metrics.bleu([text], [[other]])
    metrics.chrf([text], [[other]], word_order=2)
    assert time.process_time() - began < 20


def test_ter_of_a_huge_text_takes_seconds():
    draw = random.Random(3)
    a, b = (" ".join(draw.choices("abcdefghij", k=20_000)) for _ in range(2))
    began = time.process_time()
    metrics.ter([a], [[b]])
    assert time.process_time() - began < 20


def test_every_function_is_importable_from_the_package():
    names = [name for names in metrics.FUNCTIONS.values() for name in names]
    assert len(set(names)) == len(names)
    assert not set(names) & set(metrics.FUNCTIONS), "a module would hide the function of its name"
    for name in names:
        assert callable(getattr(metrics, name))
        assert name in dir(metrics)
    with pytest.raises(AttributeError, match="meteor"):
        metrics.meteor  # noqa: B018
