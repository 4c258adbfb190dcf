"""How a case of lighteval's tests of metrics is asked of `potstill.metrics`.

A case prescribes how a text is read before it is scored (as a formula, as a letter), and hands the metric one gold answer or all;
both are done here, as src/lighteval/metrics/metrics.py sets them up.
"""

from string import ascii_uppercase

from math_verify import parse
from math_verify.parser import ExprExtractionConfig

from potstill import metrics, stats
from potstill.tasks import equivalent

UNSUPPORTED = {
    "byte_perplexity": "lighteval's test compares only that there is a value: it says 1.0 and computes exp(-1/30)",
    "target_perplexity": "lighteval's test compares only that there is a value: it says 0.0, which no perplexity is",
}
"""Metrics whose expected values nothing has, and why."""


def value_of(case):
    """What `potstill.metrics` says: a number, or numbers by name."""
    return ADAPTERS[case["metric"]](case)


def golds(doc):
    index = doc["gold_index"]
    return [doc["choices"][i] for i in (index if isinstance(index, list) else [index])]


def indices(doc):
    index = doc["gold_index"]
    return index if isinstance(index, list) else [index]


def texts(case):
    return case["model_response"]["text"]


def by_only_name(case, value):
    (name,) = case["expected"]
    return {name: value}


# How answers are read


def is_text(case, text):
    return metrics.exact_match(text, golds(case["doc"])[0], strip=case["params"].get("strip_strings", True)) == 1


def is_formula(kind, precision):
    """Of plain expressions, the pattern of these cases (math-verify's) reads only those that begin with a number: where it reads
    nothing in gold, no answer is correct."""

    def is_correct(case, text):
        gold = golds(case["doc"])[0]
        if kind == "expr" and not parse(gold, [ExprExtractionConfig()]):
            return False
        return equivalent(gold, text, kind=kind, precision=precision)

    return is_correct


def is_letter(case, text):
    """A letter is an answer where there is an option of it."""
    gold = golds(case["doc"])[0]
    return gold in ascii_uppercase[: len(case["doc"]["choices"])] and equivalent(gold, text, kind="multiple-choice")


def correct(case, is_correct):
    return [is_correct(case, text) for text in texts(case)]


# Samples


def avg_at_k(is_correct):
    return lambda case: by_only_name(case, metrics.avg_at_k(correct(case, is_correct), case["params"]["k"]))


def maj_at_k(case):
    return by_only_name(case, metrics.maj_at_k(texts(case), golds(case["doc"])[0], case["params"]["k"]))


def pass_at_k(is_correct):
    def value(case):
        n, k = case["params"]["n"], case["params"]["k"]
        return by_only_name(case, metrics.pass_at_k(n, sum(correct(case, is_correct)[:n]), k))

    return value


def g_pass_at_k(is_correct, prefix=""):
    def value(case):
        n, k = case["params"]["n"], case["params"]["k"]
        right = sum(correct(case, is_correct)[:n])
        values = {
            f"{prefix}g-pass@{k}_{threshold}": metrics.g_pass_at_k(n, right, k, threshold)
            for threshold in case["params"]["thresholds"]
        }
        return values | {f"m{prefix}g-pass@{k}": metrics.mean_g_pass_at_k(n, right, k)}

    return value


# Texts


def best(metric, **options):
    """The best of all pairs of an answer and a gold."""
    return lambda case: by_only_name(
        case, max(metric(text, gold, **options) for text in texts(case) for gold in golds(case["doc"]))
    )


def rouge(kind):
    def value(case):
        pairs = [(text, gold) for text in texts(case) for gold in golds(case["doc"])]
        return {kind: sum(metrics.rouge(*pair, [kind])[kind] for pair in pairs) / len(pairs)}

    return value


def rouge_t5(case):
    """In percent, of texts whose sentences end lines."""
    text, gold = (one.replace(" . ", ".\n") for one in (texts(case)[0], golds(case["doc"])[0]))
    return {kind: 100 * value for kind, value in metrics.rouge(text, gold, list(case["expected"])).items()}


def bleu_precision(n):
    return lambda case: by_only_name(case, metrics.bleu_precision(texts(case)[0], golds(case["doc"]), n))


def bleu(case):
    answers = [one["text"][0] for one in case["model_responses"]]
    return metrics.bleu(answers, [golds(doc)[:1] for doc in case["docs"]])


def first_of_corpus(metric, **options):
    """lighteval hands sacrebleu the references of chrF and TER the wrong way round: for it, there is one answer, the first, and
    all golds of the corpus are its references."""

    def value(case):
        references = [gold for doc in case["docs"] for gold in golds(doc)]
        return metric([case["model_responses"][0]["text"][0]], [references], **options)

    return value


def edits(case):
    """The reference is cut to the length of the answer."""
    answer = texts(case)[0].strip()
    reference = golds(case["doc"])[0][: len(answer)]
    return {
        "longest_common_prefix_length": metrics.common_prefix(answer, reference),
        "edit_distance": metrics.edit_distance(answer, reference),
        "edit_similarity": metrics.edit_similarity(answer, reference),
    }


def extractiveness(case):
    found = metrics.extractiveness(texts(case)[0], case["doc"]["specific"]["text"])
    return {f"summarization_{name}": getattr(found, name) for name in ("coverage", "density", "compression")}


def drop(case):
    scored = metrics.drop_score(texts(case), case["doc"]["specific"]["golds_no_preprocessing"])
    return {"em": scored.exact_match, "f1": scored.f1}


# Labels of a corpus


def macro_f1(case):
    labels = [[frozenset([text]) for text in side] for side in corpus(case)]
    return stats.macro_f1(*labels, sorted({label for side in corpus(case) for label in side}))


def micro_f1(case):
    """Of one label each, it is the accuracy."""
    pairs = list(zip(*corpus(case), strict=True))
    return sum(metrics.exact_match(answer, gold) for gold, answer in pairs) / len(pairs)


def corpus(case):
    return [golds(doc)[0] for doc in case["docs"]], [one["text"][0] for one in case["model_responses"]]


def one_against_the_rest(case):
    """The mean over the places of options of how often "this one" is said rightly."""
    likely = [one["logprobs"] for one in case["model_responses"]]
    pairs = [(doc["gold_index"], values.index(max(values))) for doc, values in zip(case["docs"], likely, strict=True)]
    places = range(3)
    return sum((gold == i) == (answer == i) for i in places for gold, answer in pairs) / len(pairs) / len(places)


# Log-likelihoods


def of_choices(metric):
    return lambda case: by_only_name(
        case, metric(case["model_response"]["logprobs"], indices(case["doc"]), **case["params"])
    )


def greedy(case):
    return by_only_name(case, metrics.any_gold_is_greedy(case["model_response"]["argmax_logits_eq_gold"]))


def truthfulqa(case):
    """The choices of MC1, of which the first is true, then those of MC2. lm-evaluation-harness takes the golds before the first
    gap for all that are true, and so do lighteval's expected values."""
    values, golds, n = case["model_response"]["logprobs"], indices(case["doc"]), case["doc"]["specific"]["len_mc1"]
    last = golds[1] - 1
    for gold in golds[1:]:
        if gold != last + 1:
            break
        last = gold
    return {
        "truthfulqa_mc1": metrics.likelihood_accuracy(values[:n], [0]),
        "truthfulqa_mc2": metrics.true_mass(values[n:], range(max(0, last - n + 1))),
    }


def word_perplexity(case):
    sums = [sum(one["logprobs"]) for one in case["model_responses"]]
    return metrics.word_perplexity(sums, [doc["query"] for doc in case["docs"]])


ADAPTERS = {
    "acc_golds_likelihood": greedy,
    "avg_at_k": avg_at_k(is_text),
    "avg_at_k_math": avg_at_k(is_formula("latex+expr", 6)),
    "bleu": bleu,
    "bleu_1": bleu_precision(1),
    "bleu_4": bleu_precision(4),
    "chrf": first_of_corpus(metrics.chrf),
    "chrf_plus": first_of_corpus(metrics.chrf, word_order=2),
    "copyright": edits,
    "drop": drop,
    "exact_match": best(metrics.exact_match),
    "expr_gold_metric": lambda case: by_only_name(case, float(any(correct(case, is_formula("expr", 5))))),
    "extractiveness": extractiveness,
    "f1_score": best(metrics.token_f1, distinct=True),
    "f1_score_macro": macro_f1,
    "f1_score_micro": micro_f1,
    "g_pass_at_k": g_pass_at_k(is_text),
    "g_pass_at_k_latex": g_pass_at_k(is_formula("latex", 5), "latex_"),
    "g_pass_at_k_math": g_pass_at_k(is_formula("expr", 5), "math_"),
    "gpqa_instruct_pass_at_k": pass_at_k(is_letter),
    "loglikelihood_acc": of_choices(metrics.likelihood_accuracy),
    "loglikelihood_f1": of_choices(metrics.likelihood_accuracy),  # of a single question, F1 is whether it is right
    "maj_at_k": maj_at_k,
    "mrr": of_choices(metrics.reciprocal_rank),
    "multi_f1_numeric": one_against_the_rest,
    "pass_at_k": pass_at_k(is_text),
    "pass_at_k_letters": pass_at_k(is_letter),
    "pass_at_k_math": pass_at_k(is_formula("latex+expr", 6)),
    "recall_at_k": of_choices(metrics.recall_at_k),
    "rouge1": rouge("rouge1"),
    "rouge2": rouge("rouge2"),
    "rougeL": rouge("rougeL"),
    "rougeLsum": rouge("rougeLsum"),
    "rouge_t5": rouge_t5,
    "ter": first_of_corpus(metrics.ter),
    "truthfulqa_mc_metrics": truthfulqa,
    "word_perplexity": word_perplexity,
}
