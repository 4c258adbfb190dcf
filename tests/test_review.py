"""The draw of a review, and the labels that come of it."""

from collections import Counter

import pytest

from potstill.errors import PotstillError
from potstill.labels import table
from potstill.labels.items import items
from potstill.labels.table import ADJUDICATION, State
from potstill.review import draw, reviewing
from potstill.review.answers import IncompleteError, read_answer
from potstill.review.attention import attention
from potstill.review.collect import collect
from potstill.review.database import FILE, Database, connect
from potstill.review.defaults import defaults
from potstill.review.disagreements import disagreements
from potstill.review.filling import fill
from potstill.review.reviewing import Answer
from potstill.stages.judged.inputs import setting
from reviewed import answer_all, begun, math_run, summarization_run


def fails(*reasons):
    return Answer(State.GIVEN, {"overall": 0.0}, failed=reasons)


PASSES = Answer(State.GIVEN, {"overall": 1.0})


# The draw


def test_a_prefix_of_the_order_is_a_random_sample():
    names = [f"q{i}" for i in range(40)]
    first = Counter(name for seed in range(2000) for name in draw.order(seed, names)[:10])
    assert all(400 < first[name] < 600 for name in names)  # expected 500, standard deviation 19
    assert draw.order(3, names) == draw.order(3, names[::-1])


def test_sides_and_overlap_are_drawn_by_item_and_reviewer():
    sides = [draw.swaps(1, f"i{n}", reviewer) for n in range(500) for reviewer in ("Ana", "Ben")]
    assert 420 < sum(sides) < 580
    assert 60 < sum(draw.is_shared(1, f"q{n}", 0.2) for n in range(500)) < 140


def test_questions_are_drawn_and_their_probability_is_stored(tmp_path):
    run = math_run(tmp_path, 20)
    connection, _ = begun(run, form="pass", questions=5)
    done = answer_all(connection, "Ana", PASSES)
    assert len(done) == 10
    assert [item.question for item in done[::2]] == draw.order(run.recipe.data_seed, [f"test-{i}" for i in range(20)])[
        :5
    ]
    with run.locked():
        collect(run)
    labels = table.read(run)
    assert {label["probability"] for label in labels} == {0.25}
    assert {label["system"] for label in labels} == {"student", "base"}
    assert {label["shown"] for label in labels} <= {item.shown for item in items(run, ["student", "base"], False)}


def test_overlap_is_labelled_by_all_and_the_rest_by_one(tmp_path):
    run = math_run(tmp_path, 30)
    connection, _ = begun(run, form="pairwise", overlap=0.3)
    by = {name: set() for name in ("Ana", "Ben", "Cy")}
    for name in by:
        reviewing.join(connection, name)
    for _ in range(40):
        for name, mine in by.items():
            if found := reviewing.hold(connection, name):
                reviewing.record(connection, name, found.item.id, Answer(State.GIVEN, {"overall": 1.0}), 1.0)
                mine.add(found.item.question)
    everyone = by["Ana"] & by["Ben"] & by["Cy"]
    assert everyone == {f"test-{i}" for i in range(30) if draw.is_shared(run.recipe.data_seed, f"test-{i}", 0.3)}
    counted = Counter(question for mine in by.values() for question in mine - everyone)
    assert set(counted.values()) == {1}
    assert len(counted) + len(everyone) == 30
    assert reviewing.progress(connection, "Ana").left == 0


def test_what_somebody_abandoned_is_given_to_another(tmp_path, monkeypatch):
    run = math_run(tmp_path, 3)
    connection, _ = begun(run, form="pairwise", overlap=0.0)
    reviewing.join(connection, "Ana")
    held = reviewing.hold(connection, "Ana").item.question
    assert held not in {item.question for item in answer_all(connection, "Ben", PASSES)}
    monkeypatch.setattr(reviewing, "HELD_SECONDS", -1.0)
    assert [item.question for item in answer_all(connection, "Ben", PASSES)] == [held]


def test_a_reviewer_who_stops_half_way_gives_back_what_was_not_answered(tmp_path):
    run = math_run(tmp_path, 4)
    connection, _ = begun(run, form="pairwise", overlap=0.0)
    done = answer_all(connection, "Ana", PASSES, most=1)
    reviewing.hold(connection, "Ana")
    reviewing.finish(connection, "Ana")
    rest = answer_all(connection, "Ben", PASSES)
    assert len({item.question for item in [*done, *rest]}) == 4
    with pytest.raises(PotstillError, match="has finished"):
        reviewing.record(connection, "Ana", done[0].id, PASSES, 1.0)


# Answers


def test_the_same_answer_twice_is_one_and_undo_takes_it_back(tmp_path):
    connection, _ = begun(math_run(tmp_path, 2), form="pass")
    first, second = answer_all(connection, "Ana", PASSES, most=2)
    reviewing.record(connection, "Ana", second.id, PASSES, 9.0)
    assert connection.execute("SELECT count(*) FROM history").fetchone()[0] == 2
    reviewing.undo(connection, "Ana")
    assert reviewing.next_open(connection, "Ana").item.id == second.id
    reviewing.undo(connection, "Ana")
    assert reviewing.next_open(connection, "Ana").item.id == first.id
    assert reviewing.undo(connection, "Ana") is None
    assert reviewing.last_given(connection, "Ana", first.id) == PASSES
    assert connection.execute("SELECT count(*) FROM history WHERE answer IS NULL").fetchone()[0] == 2


@pytest.mark.parametrize(
    ("form", "fields", "swapped", "expected"),
    [
        ("pairwise", {"action": "left"}, False, Answer(State.GIVEN, {"overall": 1.0})),
        ("pairwise", {"action": "left"}, True, Answer(State.GIVEN, {"overall": 0.0}, first=1)),
        ("pairwise", {"action": "tie"}, True, Answer(State.GIVEN, {"overall": 0.5}, first=1)),
        ("pairwise", {"action": "right", "reason": " a \n b "}, False, Answer(State.GIVEN, {"overall": 0.0}, reason="a b")),
        ("pass", {"action": "fail", "failed": "sound\nnonsense"}, False, fails("sound")),
        ("pass", {"action": "pass", "failed": "sound"}, False, PASSES),
        ("pass", {"action": "skip"}, False, Answer(State.SKIPPED)),
        ("scores", {"action": "save", "score-sound": "5", "score-supports": "?"}, False,
         Answer(State.GIVEN, {"sound": 5.0, "supports": None})),
        ("scores", {"action": "save", "score-sound": "?", "score-supports": "?"}, False, Answer(State.CANNOT_TELL)),
        ("scores", {"action": "cannot-tell"}, False, Answer(State.CANNOT_TELL)),
    ],
)  # fmt: skip
def test_forms_are_read(tmp_path, form, fields, swapped, expected):
    settings = defaults(math_run(tmp_path, 1), {"form": form})
    assert read_answer(settings, fields, swapped=swapped) == expected


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("pairwise", {}), ("pairwise", {"action": "pass"}), ("pass", {"action": "left"}), ("scores", {"action": "save"}),
        ("scores", {"score-sound": "6", "score-supports": "1"}), ("scores", {"score-sound": "0", "score-supports": "1"}),
        ("scores", {"score-sound": "1", "score-supports": "²"}),
    ],
)  # fmt: skip
def test_incomplete_forms_are_refused(tmp_path, form, fields):
    with pytest.raises(IncompleteError):
        read_answer(defaults(math_run(tmp_path, 1), {"form": form}), fields, swapped=False)


def test_what_every_page_needs_is_found_in_indexes(tmp_path):
    """With 50,000 items nothing may be read from beginning to end."""
    connection, _ = begun(math_run(tmp_path, 3), form="pass", overlap=0.5)
    answer_all(connection, "Ana", PASSES, most=4)
    seen = []
    connection.set_trace_callback(seen.append)
    assert reviewing.progress(connection, "Ana").done == 4
    reviewing.next_open(connection, "Ana", 4)
    reviewing.last_given(connection, "Ana", "x")
    reviewing.has_finished(connection, "Ana")
    connection.set_trace_callback(None)
    assert len(seen) >= 4
    steps = [row["detail"] for statement in seen for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert not [step for step in steps if step.startswith("SCAN") and step != "SCAN CONSTANT ROW"]
    assert not [step for step in steps if "TEMP B-TREE" in step]


# Labels


def test_labels_of_a_pair_do_not_depend_on_the_side(tmp_path):
    run = math_run(tmp_path, 12)
    connection, settings = begun(run, form="pairwise")

    def student_is_better(item):
        swapped = draw.swaps(settings.seed, item.id, "Ana")
        side = "left" if (item.answers[0].system == "student") != swapped else "right"
        return read_answer(settings, {"action": side}, swapped=swapped)

    answer_all(connection, "Ana", student_is_better)
    with run.locked():
        collect(run)
    labels = table.read(run)
    assert [(label["system"], label["other"], label["value"]) for label in labels] == [("student", "base", 1.0)] * 12
    assert {label["first"] for label in labels} == {"student", "base"}
    assert {label["rater"] for label in labels} == {"Ana"}


def test_labels_flow_in_once_and_other_raters_stay(tmp_path):
    run = summarization_run(tmp_path, 2)
    connection, settings = begun(run, systems="student")
    scores = Answer(State.GIVEN, {name.name: 4.0 for name in settings.rubric.criteria} | {"density": None}, reason="so")
    answer_all(connection, "Ana", scores)
    item = next(items(run, ["student"], False))
    judged = dict.fromkeys(table.LABELS.schema.names) | {
        "item": item.id, "question": item.question, "split": "test", "group": "g", "system": "student", "shown": item.shown,
        "kind": "judge", "rater": "j", "rubric": settings.rubric.key, "form": "scores", "criterion": "density", "value": 2.0,
        "state": "given", "reason": "", "repeat": 0, "time": "",
    }  # fmt: skip
    with run.locked():
        table.replace(run, lambda label: False, [judged])
        collect(run)
        before = run.path("labels.parquet").stat().st_mtime_ns, run.path("review.json").stat().st_mtime_ns
        collect(run)
    assert before == (run.path("labels.parquet").stat().st_mtime_ns, run.path("review.json").stat().st_mtime_ns)
    labels = table.read(run)
    assert Counter(label["kind"] for label in labels) == {"person": 10, "judge": 1}
    unknown = [label for label in labels if label["state"] == "cannot tell"]
    assert [label["criterion"] for label in unknown] == ["density"] * 2
    reviewing.undo(connection, "Ana")
    with run.locked():
        collect(run)
    assert Counter(label["kind"] for label in table.read(run)) == {"person": 5, "judge": 1}


@pytest.mark.parametrize("form", ["pass", "pairwise", "scores"])
def test_who_does_not_read_is_left_out_and_counted(tmp_path, form):
    run = math_run(tmp_path, 6)
    connection, settings = begun(run, form=form, attention=3)

    def careful(item):
        is_check = item.id.startswith("check-")
        value = float(not is_check) if form == "pass" else 1.0
        if form == "scores":
            return Answer(State.GIVEN, {"sound": 1.0 if is_check else 4.0, "supports": 2.0})
        return Answer(State.GIVEN, {"overall": value})

    def careless(item):
        if form == "scores":
            return Answer(State.GIVEN, {"sound": 5.0, "supports": 5.0})
        return Answer(State.GIVEN, {"overall": 0.0 if form == "pairwise" else 1.0})

    done = answer_all(connection, "Ana", careful)
    checks = [item for item in done if item.id.startswith("check-")]
    assert len(checks) == 3
    assert all(sorted(one.answers[-1].text.split()) != one.answers[-1].text.split() for one in checks)
    answer_all(connection, "Ben", careless)
    assert attention(connection, settings, "Ana").right == 3
    assert attention(connection, settings, "Ben").excluded
    with run.locked():
        collect(run)
    assert {label["rater"] for label in table.read(run)} == {"Ana"}
    assert not any(label["item"].startswith("check") for label in table.read(run))
    reviewers = run.read_json("review.json")["reviewers"]
    assert [(one["name"], one["excluded"], one["attention"]["of"]) for one in reviewers] == [
        ("Ana", False, 3),
        ("Ben", True, 3),
    ]
    n = 6 * {"pass": 2, "pairwise": 1, "scores": 4}[form]
    assert [one["labels"] for one in reviewers] == [n, n]
    (ben,) = review_setting(run).inattentive
    assert (ben.name, ben.of, ben.labels) == ("Ben", 3, n)


def review_setting(run):
    evaluation = {"chosen": {}, "splits": {}}
    return setting(run.recipe, [], {}, evaluation, run.read_json("review.json"))


def test_disagreements_are_those_of_reviewers_who_count(tmp_path):
    run = math_run(tmp_path, 4)
    connection, settings = begun(run, systems="student")
    answer_all(connection, "Ana", Answer(State.GIVEN, {"sound": 2.0, "supports": 3.0}))
    answer_all(connection, "Ben", Answer(State.GIVEN, {"sound": 3.0, "supports": 3.0}), most=2)
    answer_all(connection, "Cy", Answer(State.GIVEN, {"sound": 4.0, "supports": None}), most=1)
    found, both = disagreements(connection, settings)
    assert both == 2
    assert [sorted(one.answers) for one in found] == [["Ana", "Ben", "Cy"]]
    reviewing.record(connection, ADJUDICATION, found[0].item, Answer(State.GIVEN, {"sound": 3.0, "supports": 3.0}), 1.0)
    with run.locked():
        collect(run)
    assert Counter(label["rater"] for label in table.read(run)) == {"Ana": 8, "Ben": 4, "Cy": 2, ADJUDICATION: 2}


def test_an_answer_that_changed_is_asked_again_and_its_label_keeps_the_old_digest(tmp_path):
    run = math_run(tmp_path, 2)
    connection, settings = begun(run, form="pass", systems="student")
    answer_all(connection, "Ana", PASSES)
    math_run(tmp_path, 2, answers={"student": "It is three hundred.", "base": "No."})
    fill(connection, run, settings)
    assert len(answer_all(connection, "Ana", PASSES)) == 2
    with run.locked():
        collect(run)
    now = {item.shown for item in items(run, ["student"], False)}
    assert Counter(label["shown"] in now for label in table.read(run)) == {True: 2, False: 2}


# The file


def test_a_failed_write_undoes_itself_alone(tmp_path):
    database = Database(tmp_path / FILE)

    def fail(connection):
        reviewing.join(connection, "Ben")
        raise ValueError("no")

    writes = [
        database.write(lambda c: reviewing.join(c, "Ana")),
        database.write(fail),
        database.write(lambda c: reviewing.join(c, "Cy")),
    ]
    assert writes[0].result(10) is None
    with pytest.raises(ValueError, match="no"):
        writes[1].result(10)
    writes[2].result(10)
    database.close()
    assert reviewing.unfinished(connect(tmp_path / FILE)) == ["Ana", "Cy"]
