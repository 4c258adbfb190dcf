"""preview, plan, budgets and the store commands, through the command line."""

import gzip
import json
import re
import sqlite3
import subprocess
import sys

import pytest

from small import potstill


def output_of(*arguments, cwd):
    result = potstill(*arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def work(work):
    """The recipe with a price for the teacher."""
    text = (work / "r.yaml").read_text()
    (work / "r.yaml").write_text(text.replace("concurrency: 4", "concurrency: 4, price: {input: 1000, output: 1000}"))
    return work


def budget(work, limit):
    text = re.sub(r", budget: \{[^}]*\}", "", (work / "r.yaml").read_text())
    line = next(line for line in text.splitlines() if line.startswith("teacher:"))
    (work / "r.yaml").write_text(text.replace(line, line[:-1] + ", budget: {" + limit + "}}"))


def test_preview_shows_the_prompt_of_each_model(work, teacher):
    prompts = json.loads(output_of("preview", "r.yaml", "-n", "3", "--json", cwd=work))
    assert [prompt["who"] for prompt in prompts] == ["teacher", "student"] * 3
    first, second = prompts[:2]
    assert "[user]" in first["text"]
    assert not first["exact"]
    # The student's prompt has its own chat template and nothing of the teacher's instructions.
    assert second["text"].startswith("user:")
    assert second["text"].endswith(";a:")
    assert second["exact"]
    assert second["tokens"] == len(second["text"].encode())
    assert "Answer: NUMBER" in first["text"]
    assert "Answer: NUMBER" not in second["text"]
    assert "--- student, " in output_of("preview", "r.yaml", cwd=work)
    assert not teacher.seen


def test_plan_estimates_the_remaining_requests_and_their_cost(work, teacher):
    generate, direct = json.loads(output_of("plan", "r.yaml", "--json", cwd=work))
    assert (generate["requests"], generate["stored"], generate["at_most"]) == (24, 0, True)
    assert generate["completion_tokens"] == 24 * 64
    assert generate["cost"] == pytest.approx((generate["prompt_tokens"] + 24 * 64) / 1000)
    assert (direct["requests"], direct["stored"]) == (12, 0)
    assert not teacher.seen
    assert potstill("generate", "r.yaml", cwd=work).returncode == 0
    text = (work / "r.yaml").read_text()
    (work / "r.yaml").write_text(text.replace("train: 24", "train: 30"))
    generate, _ = json.loads(output_of("plan", "r.yaml", "--json", cwd=work))
    assert (generate["requests"], generate["stored"], generate["at_most"]) == (30, 24, False)
    assert generate["completion_tokens"] == 6 * 12
    assert "generate: 6 of 30 requests to send" in output_of("plan", "r.yaml", cwd=work)


def test_plan_counts_a_duplicated_prompt_once(work, teacher):
    rows = [{"question": f"What is {i % 4} + 1?", "gold": str(i % 4 + 1), "id": str(i)} for i in range(30)]
    (work / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = (work / "r.yaml").read_text()
    begin, end = text.index("data:"), text.index("teacher:")
    section = "data: {source: files, train: rows.jsonl, validation: 2, test: 2}\n"
    (work / "r.yaml").write_text(text[:begin] + section + text[end:])
    generate, _ = json.loads(output_of("plan", "r.yaml", "--json", cwd=work))
    before = teacher.seen.total()
    potstill("generate", "r.yaml", cwd=work)
    assert generate["requests"] == teacher.seen.total() - before <= 4


@pytest.mark.parametrize(
    ("limit", "more", "requests"),
    [("max_requests: 10", "max_requests: 1000", 10), ("max_tokens: 520", "max_tokens: 100000", 10), ("max_cost: 0.52", "max_cost: 900", 10)],
)  # fmt: skip
def test_a_spent_budget_stops_the_run_and_a_higher_one_resumes_it(work, teacher, limit, more, requests):
    budget(work, limit)
    stopped = potstill("generate", "r.yaml", cwd=work)
    assert stopped.returncode == 1
    assert f"its budget is spent: {limit.replace(': ', ' is ')}" in stopped.stderr
    # Each answer has 52 tokens; the estimate for requests in flight may stop the run one answer early or late.
    assert requests - 1 <= teacher.seen.total() <= requests + 1
    before = teacher.seen.total()
    assert potstill("generate", "r.yaml", cwd=work).returncode == 1
    assert teacher.seen.total() <= before + 1
    budget(work, more)
    assert potstill("generate", "r.yaml", cwd=work).returncode == 0
    assert teacher.seen.total() == len(teacher.seen) == 24


def test_max_cost_needs_a_price(work):
    text = (work / "r.yaml").read_text().replace(", price: {input: 1000, output: 1000}", "")
    (work / "r.yaml").write_text(text)
    budget(work, "max_cost: 1")
    result = potstill("plan", "r.yaml", cwd=work)
    assert result.returncode == 2
    assert "budget.max_cost needs model.price" in result.stderr


def test_store_stats_export_import_and_prune(work, teacher):
    assert potstill("generate", "r.yaml", cwd=work).returncode == 0
    (usage,) = json.loads(output_of("store", "stats", "--json", cwd=work))
    assert usage == {
        "model": "t", "completions": 24, "prompt_tokens": 24 * 40, "completion_tokens": 24 * 12, "cost": pytest.approx(24 * 0.052),
        "failures": {},
    }  # fmt: skip
    assert output_of("store", "verify", cwd=work).endswith(": intact\n")
    assert "24 completions" in output_of("store", "export", "all.jsonl.gz", cwd=work)
    assert potstill("store", "export", "all.jsonl.gz", cwd=work).returncode == 2
    assert len(gzip.decompress((work / "all.jsonl.gz").read_bytes()).splitlines()) == 24
    assert (
        output_of("store", "prune", "--model", "t", cwd=work) == "24 completions would be removed; --yes removes them\n"
    )
    assert output_of("store", "prune", "--model", "other", "--yes", cwd=work) == "0 completions removed\n"
    assert output_of("store", "prune", "--model", "t", "--yes", cwd=work) == "24 completions removed\n"
    assert output_of("store", "stats", cwd=work) == "The store is empty.\n"
    assert output_of("store", "import", "all.jsonl.gz", cwd=work) == "24 completions added, 0 were there already\n"
    assert output_of("store", "import", "all.jsonl.gz", cwd=work) == "0 completions added, 24 were there already\n"
    before = teacher.seen.total()
    (work / "runs" / "small" / "generated.parquet").unlink()
    assert potstill("generate", "r.yaml", cwd=work).returncode == 0
    assert teacher.seen.total() == before
    (work / "bad.jsonl").write_text('{"key": "00"}\n')
    result = potstill("store", "import", "bad.jsonl", cwd=work)
    assert result.returncode == 2
    assert "bad.jsonl, line 1" in result.stderr


def test_a_corrupt_store_is_recovered_by_export_and_import(work, teacher):
    text = (work / "r.yaml").read_text()
    (work / "r.yaml").write_text(text.replace("train: 24", "train: 400"))
    assert potstill("generate", "r.yaml", cwd=work).returncode == 0
    path = work / "runs" / "completions.sqlite"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sqlite3; sqlite3.connect({str(path)!r}).execute('PRAGMA wal_checkpoint(TRUNCATE)')",
        ],
        check=True,
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    verified = potstill("store", "verify", cwd=work)
    assert verified.returncode == 1
    assert "export FILE` recovers what is intact" in verified.stderr
    out = output_of("store", "export", "recovered.jsonl", cwd=work)
    recovered = [json.loads(line) for line in (work / "recovered.jsonl").read_text().splitlines()]
    assert 200 < len(recovered) < 400
    assert f"{400 - len(recovered)} could not be read" in out
    assert path.read_bytes() == content
    path.rename(work / "corrupt.sqlite")
    assert f"{len(recovered)} completions added" in output_of("store", "import", "recovered.jsonl", cwd=work)
    before = teacher.seen.total()
    (work / "runs" / "small" / "generated.parquet").unlink()
    assert potstill("generate", "r.yaml", cwd=work).returncode == 0
    assert teacher.seen.total() == before + 400 - len(recovered)


def test_the_store_commands_create_no_store(work):
    for verb in ("stats", "prune", "verify"):
        result = potstill("store", verb, "--store", "typo/completions.sqlite", cwd=work)
        assert (result.returncode, "there is no store yet" in result.stderr) == (2, True)
    assert not (work / "typo").exists()


def test_text_that_is_not_utf8_is_corruption(work, teacher):
    output_of("generate", "r.yaml", cwd=work)
    store = work / "runs" / "completions.sqlite"
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE completions SET text = CAST(X'FFFE' AS TEXT) WHERE id = 3")
    verified = potstill("store", "verify", cwd=work)
    assert (verified.returncode, verified.stdout) == (1, "1 completions cannot be read\n")
    (work / "runs" / "small" / "generated.parquet").unlink()
    again = potstill("generate", "r.yaml", cwd=work)
    assert again.returncode == 1
    assert "is corrupt" in again.stderr
    assert "store export" in again.stderr
    assert potstill("store", "export", "no/where.jsonl", cwd=work).returncode == 2
    assert "23 completions; up to 1 could not be read" in output_of("store", "export", "all.jsonl", cwd=work)


def test_a_budget_counts_only_its_own_model(work, teacher):
    budget(work, "max_requests: 40")
    output_of("run", "r.yaml", cwd=work)  # base and student answer 12 questions each in this process
    assert teacher.seen.total() == 24 + 12
