"""Exports, read by the tools whose viewers they are for, where these are installed."""

import json
from statistics import stdev

import pytest

from evaluated import evaluated_run, example, run_with
from golden import prediction
from potstill.errors import PotstillError
from potstill.stages.evaluate.stage import evaluate
from potstill.stages.interop.write import export
from potstill.workspace import artifacts

OUTCOMES = ["correct", "incorrect", "error", "unparseable", "correct", "truncated"]


@pytest.fixture
def run(tmp_path):
    """Two splits, two systems of which one answers from a file, and every kind of answer."""
    examples = [example(f"q{i}", split="test_unseen" if i < 2 else "test") for i in range(6)]
    texts = {"correct": "Answer: 7", "incorrect": "Answer: 8", "unparseable": "Ψ \x00 <b>hm</b>", "truncated": "Let me"}
    for name, outcomes in {"one": OUTCOMES, "two_2": OUTCOMES[::-1]}.items():
        ends = {"truncated": {"finish_reason": "length"}}
        rows = [
            {"id": f"q{i}", "completion": texts[outcome], "seconds": 0.5, "tokens": 3} | ends.get(outcome, {})
            for i, outcome in enumerate(outcomes)
            if outcome != "error"
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    systems = "[{name: one, predictions: one.jsonl}, {name: two_2, predictions: two_2.jsonl}]"
    made = run_with(tmp_path, examples, name="my_run", systems=systems)
    evaluate(made.recipe, made)
    return made


def accuracy(run, system):
    """By split, as evaluation.json has it."""
    return {
        split: values["systems"][system]["metrics"]["accuracy"]["estimate"]
        for split, values in run.evaluation["splits"].items()
    }


def lm_eval_files(folder):
    (results,) = folder.glob("results_*.json")
    samples = {path.name.split("_2", 1)[0]: path for path in folder.glob("samples_*.jsonl")}
    return json.loads(results.read_text()), samples


def test_lm_eval_results_are_those_of_the_evaluation(run):
    folder = export(run, "lm-eval")
    assert folder == run.path("exports/lm-eval")
    assert sorted(path.name for path in folder.iterdir()) == ["one", "two_2"]
    for system in ("one", "two_2"):
        results, samples = lm_eval_files(folder / system)
        for split, estimate in accuracy(run, system).items():
            task = f"my_run_{split}"
            rows = [json.loads(line) for line in samples[f"samples_{task}"].read_text().splitlines()]
            values = [row["acc"] for row in rows]
            assert results["results"][task]["acc,none"] == pytest.approx(estimate)
            assert results["results"][task]["acc_stderr,none"] == pytest.approx(stdev(values) / len(values) ** 0.5)
            assert results["n-samples"][task]["effective"] == len(rows)
            assert [row["doc_id"] for row in rows] == list(range(len(rows)))
            assert all(metric["metric"] in row for row in rows for metric in results["configs"][task]["metric_list"])
    results, samples = lm_eval_files(folder / "one")
    rows = [json.loads(line) for line in samples["samples_my_run_test"].read_text().splitlines()]
    assert results["n-samples"]["my_run_test"] == {"original": 4, "effective": 3}, (
        "a question without an answer is left out"
    )
    assert [row["filtered_resps"] for row in rows] == [["[invalid]"], ["7"], ["[invalid]"]]
    assert rows[1]["resps"] == [["Answer: 7"]]
    assert rows[1]["target"] == "7"


def inspect_logs(folder):
    return {log["eval"]["model"]: log for log in (json.loads(path.read_text()) for path in folder.glob("*.json"))}


def test_inspect_logs_hold_every_answer_and_the_scores_of_the_evaluation(run):
    logs = inspect_logs(export(run, "inspect"))
    assert set(logs) == {"potstill/one", "potstill/two_2"}
    for system in ("one", "two_2"):
        log = logs[f"potstill/{system}"]
        (score,) = (one for one in log["results"]["scores"] if one["name"] == "correct")
        for split, estimate in accuracy(run, system).items():
            assert score["metrics"][f"accuracy_{split}"]["value"] == pytest.approx(estimate)
        assert (log["results"]["total_samples"], log["results"]["completed_samples"]) == (6, 5)
    samples = logs["potstill/one"]["samples"]
    assert [one["scores"].get("correct", {}).get("value") for one in samples] == ["C", "I", None, "I", "C", "I"]
    assert samples[2]["error"]["message"] == "no-answer"
    assert samples[5]["output"]["choices"][0]["stop_reason"] == "max_tokens"
    assert samples[0]["messages"][-1]["content"] == "Answer: 7"


@pytest.mark.parametrize("tool", ["lm-eval", "inspect"])
def test_an_export_replaces_the_one_before_and_depends_on_nothing_else(run, tool):
    folder = export(run, tool)
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.json*")}
    (folder / "old.json").write_text("{}")
    export(run, tool)
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.json*")} == before
    assert [path.name for path in run.path("exports").iterdir()] == [tool]


def test_a_task_whose_scores_decide_nothing_has_means(tmp_path):
    rows = [{k: v for k, v in example(f"q{i}").items() if k != "question"} | {"document": "d"} for i in range(3)]
    run = evaluated_run(tmp_path, rows, {"student": ["answered"] * 3}, task="summarization")
    scores = [{"rouge_l": 0.5, "words": 4.0}, {"rouge_l": 0.25, "words": None}, {"rouge_l": 0.0, "words": 6.0}]
    table = artifacts.predictions("student")
    run.write(
        table,
        [
            prediction(i, "answered", scores=one) | {"finish_reason": "stop", "group": f"q{i}"}
            for i, one in enumerate(scores)
        ],
    )
    run.write_json("evaluation.json", {"splits": {"test": {"decided": False}}})
    results, _ = lm_eval_files(export(run, "lm-eval") / "student")
    assert results["results"]["one_test"]["rouge_l,none"] == pytest.approx(0.25)
    assert "words,none" not in results["results"]["one_test"], "one answer has no such score"
    (log,) = inspect_logs(export(run, "inspect")).values()
    assert {one["name"]: one["metrics"]["mean"]["value"] for one in log["results"]["scores"]} == {
        "rouge_l": 0.25,
        "words": 5.0,
    }


def test_a_run_that_is_not_evaluated_has_no_export(run):
    run.remove("predictions")
    with pytest.raises(PotstillError, match=r"no predictions/one\.parquet yet"):
        export(run, "inspect")


def test_inspect_reads_and_lists_the_logs(run):
    log = pytest.importorskip("inspect_ai.log", reason="the extra `interop` is not installed")
    folder = export(run, "inspect")
    listed = log.list_eval_logs(str(folder))
    assert len(listed) == 2
    assert {info.task for info in listed} == {"my-run"}
    headers = [log.read_eval_log(info, header_only=True) for info in listed]
    assert {header.eval.model for header in headers} == {"potstill/one", "potstill/two_2"}
    for info in listed:
        read = log.read_eval_log(info)
        assert read.status == "success"
        name = read.eval.model.removeprefix("potstill/")
        metrics = read.results.scores[0].metrics
        assert {split: metrics[f"accuracy_{split}"].value for split in accuracy(run, name)} == pytest.approx(
            accuracy(run, name)
        )
        assert len(read.samples) == 6
        for sample in read.samples:
            assert sample.input[-1].role == "user"
            assert sample.output.completion == sample.messages[-1].text
        again = log.read_eval_log_sample(info, id="q0", epoch=1)
        assert again.scores["correct"].answer in ("7", None)
        assert [one.id for one in log.read_eval_log_sample_summaries(info)] == [f"q{i}" for i in range(6)]


def test_lm_eval_finds_the_files_and_makes_its_table(run):
    utils = pytest.importorskip("lm_eval.utils", reason="the extra `interop` is not installed")
    folder = export(run, "lm-eval") / "one"
    files = [path.as_posix() for path in folder.iterdir()]
    (results,) = utils.get_results_filenames(files)
    samples = utils.get_sample_results_filenames(files)
    assert {utils.get_file_task_name(path.rsplit("/", 1)[1]) for path in samples} == {
        "my_run_test",
        "my_run_test_unseen",
    }
    assert {utils.get_file_datetime(path) for path in samples} == {
        utils.get_file_datetime(results).replace(".json", "")
    }
    table = utils.make_table(json.loads((folder / results).read_text()))
    assert "|my_run_test_unseen|" in table.replace(" ", "")
    from datasets import load_dataset

    rows = load_dataset("json", data_files=samples, split="train", cache_dir=str(folder.parent / "cache"))
    assert len(rows) == 5
    assert set(rows["acc"]) == {0.0, 1.0}


def test_what_judges_decided_is_no_accuracy(tmp_path):
    run = evaluated_run(
        tmp_path, [example(f"q{i}") for i in range(3)], {"student": ["correct", "incorrect", "correct"]}
    )
    run.write_json("evaluation.json", {"splits": {"test": {"decided": True, "measure": "judged_right"}}})
    results, samples = lm_eval_files(export(run, "lm-eval") / "student")
    assert results["results"]["one_test"]["judged_right,none"] == pytest.approx(2 / 3)
    (file,) = export(run, "inspect").iterdir()
    log = json.loads(file.read_text())
    (score,) = log["results"]["scores"]
    assert (score["name"], sorted(score["metrics"])) == ("judged_right", ["mean", "mean_test", "stderr"])
    assert [one["scores"]["judged_right"]["value"] for one in log["samples"]] == [1.0, 0.0, 1.0]
    for text in (json.dumps(results), json.dumps(log), *(path.read_text() for path in samples.values())):
        assert "accuracy" not in text
        assert '"acc' not in text
