"""`potstill.metrics` against the expected values of lighteval's tests."""

import json
import os
from pathlib import Path

import pytest

import metric_cases

DATA = os.environ.get("POTSTILL_TEST_DATA")
FILE = Path(DATA or "", "metric_cases.jsonl")
CASES = [json.loads(line) for line in FILE.open(encoding="utf-8")] if DATA and FILE.exists() else []


@pytest.mark.skipif(not CASES, reason="POTSTILL_TEST_DATA names no folder with metric_cases.jsonl")
def test_every_case_has_its_expected_value_within_its_tolerance():
    supported = [case for case in CASES if case["metric"] not in metric_cases.UNSUPPORTED]
    wrong = {}
    for case in supported:
        value, expected = metric_cases.value_of(case), case["expected"]
        named = [one if isinstance(one, dict) else {"": one} for one in (value, expected)]
        assert set(named[0]) == set(named[1]), case["name"]
        for name, number in named[1].items():
            if named[0][name] != pytest.approx(float(number), abs=case["tolerance"], rel=0):
                wrong[case["id"], case["name"], name] = (named[0][name], number)
    assert not wrong


def test_what_is_not_supported_says_why():
    assert not set(metric_cases.UNSUPPORTED) & set(metric_cases.ADAPTERS)
    assert all(metric_cases.UNSUPPORTED.values())
