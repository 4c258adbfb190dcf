"""Any mix of labels gives results without an error, without nan, and within their limits."""

import json

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judged_labels import ROLES, label, questions, setting
from potstill.stages.judged.planning import plan, words
from potstill.stages.judged.result import schema
from potstill.stages.judged.results import judged
from potstill.stages.judged.words import table

SYSTEMS = sorted(ROLES)
SCHEMA = schema()


@st.composite
def mixes(draw):
    """Questions in some groups on one or two splits, with answers of any length, and any labels of them."""
    groups = draw(st.integers(1, 12))
    lengths = draw(st.lists(st.integers(0, 30), min_size=1, max_size=5))
    asked = []
    for split in draw(st.sampled_from([["test"], ["test_unseen", "test"]])):
        asked += questions(
            draw(st.integers(1, 12)),
            split=split,
            groups=groups,
            length=lambda s, i: lengths[(i + len(s)) % len(lengths)],
        )
    forms = draw(st.lists(st.sampled_from(["pairwise", "pass", "reference", "scores"]), min_size=1, max_size=3))
    labels = draw(st.lists(one_label(asked, forms), max_size=60))
    return asked, labels


@st.composite
def one_label(draw, asked, forms):
    question, form = draw(st.sampled_from(asked)), draw(st.sampled_from(forms))
    system, other = draw(st.permutations(SYSTEMS))[:2]
    values = {"pairwise": [0.0, 0.5, 1.0], "scores": [1.0, 2.0, 5.0]}.get(form, [0.0, 1.0])
    value = draw(st.sampled_from([*values, None]))
    kind = draw(st.sampled_from(["judge", "person"]))
    names = ["j", "k"] if kind == "judge" else ["p", "q", "adjudication"]
    return label(
        question, system, value, other if form == "pairwise" else None, form=form, kind=kind, rater=draw(st.sampled_from(names)),
        state="given" if value is not None else draw(st.sampled_from(["unreadable", "failed", "skipped", "cannot tell"])),
        criterion=draw(st.sampled_from(["helpful", "correct", "overall"])) if form == "scores" else "overall",
        first=draw(st.sampled_from([system, other, None])) if form == "pairwise" else None, repeat=draw(st.integers(0, 1)),
        probability=draw(st.sampled_from([None, 0.1, 1.0])) if kind == "person" else None,
    )  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mixes())
def test_any_labels(mix):
    asked, labels = mix
    found = judged(labels, asked, setting(related={"j": ["student"]}))
    written = json.loads(json.dumps(found, allow_nan=False))
    jsonschema.validate(written, SCHEMA)
    assert len(found["verdict"]["lines"]) <= 3
    table(found)
    "\n".join(words(plan(labels, asked, setting())))
    for values in found["splits"].values():
        for one in [*values["scores"], *values["differences"], *values["comparisons"]]:
            for metric in filter(None, [one, one["corrected"], *(one["bounds"] or {}).values()]):
                assert metric["low"] - 1e-9 <= metric["estimate"] <= metric["high"] + 1e-9
            if one["bounds"] and one["n"]:
                lower, upper = (one["bounds"][end]["estimate"] for end in ("lower", "upper"))
                assert lower - 1e-9 <= upper
            if one["groups"] <= 1:
                assert one.get("shown") in (None, "not distinguishable")
