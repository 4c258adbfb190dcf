"""Percentiles, ratios and paybacks by hand, and a load generator whose times are those of a server with known delays."""

import asyncio
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill import interrupt
from potstill.measure import estimates
from potstill.measure.load import Counted, Loaded, Question, load
from potstill.measure.targets import endpoint_target
from potstill.models.remote.dialect import Dialect
from potstill.models.specs import Endpoint
from recorded import answer, chunked, delta, events, reply, upstream


def metric(estimate, low, high):
    return {"estimate": estimate, "low": low, "high": high}


@pytest.mark.parametrize(("n", "percent", "value"), [
    (1, 50, None), (2, 50, 1), (3, 50, 2), (4, 50, 2), (9, 90, None), (10, 90, 9), (11, 90, 10), (19, 95, None), (20, 95, 19), (99, 99, None),
    (100, 99, 99), (100, 50, 50), (101, 99, 100),
])  # fmt: skip
def test_a_percentile_is_an_observed_value_of_nearest_rank(n, percent, value):
    assert estimates.percentile([float(i) for i in range(n, 0, -1)], percent) == value


@given(st.lists(st.floats(0, 100), min_size=20, max_size=80), st.sampled_from([50, 90, 95]))
def test_so_many_percent_do_not_exceed_a_percentile(values, percent):
    found = estimates.percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_times_of_few_answers_have_no_high_percentiles():
    found = estimates.times([1.0, 2.0, 3.0], ["a", "b", "c"], 0.95)
    assert (found["n"], found["p50"], found["p90"], found["p99"]) == (3, 2.0, None, None)
    assert estimates.times([], [], 0.95) is None
    one = estimates.times([1.0, 2.0], ["a", "a"], 0.95)
    assert one["mean"] == metric(1.5, None, None)  # of one group nothing is known of others


def test_a_ratio_is_that_of_the_means_with_the_interval_of_the_delta_method():
    a, b = {"1": 2.0, "2": 4.0, "3": 6.0, "left": 9.0}, {"1": 1.0, "2": 1.0, "3": 4.0}
    groups = dict.fromkeys("123left", "x") | {"1": "1", "2": "2", "3": "3"}
    found = estimates.ratio(a, b, groups, 0.95)
    assert found["estimate"] == pytest.approx(2.0)
    # residuals (a - 2 b) / 2: 0, 1, -1; their standard error is 1 / sqrt(3), t of 2 degrees of freedom 4.303
    assert found["high"] - 2 == pytest.approx(4.302653 / 3**0.5, rel=1e-5)
    assert found["low"] == 0.0
    assert estimates.ratio(a, {}, groups, 0.95) is None
    assert estimates.ratio({"1": 1.0}, {"1": 0.0}, groups, 0.95) is None


def test_an_exact_ratio_has_no_width_and_one_group_every_width():
    a, b = {str(i): 3.0 * (i + 1) for i in range(5)}, {str(i): i + 1.0 for i in range(5)}
    apart = estimates.ratio(a, b, {str(i): i for i in range(5)}, 0.95)
    assert apart == pytest.approx(metric(3.0, 3.0, 3.0))
    assert estimates.ratio(a, b, dict.fromkeys(a, "one"), 0.95) == metric(3.0, 0.0, None)


@pytest.mark.parametrize(("saved", "calls"), [
    (metric(0.02, 0.01, 0.04), (500, 250, 1000)),
    (metric(0.02, -0.01, 0.05), (500, 200, None)),  # never is not excluded
    (metric(0.02, None, None), (500, 0, None)),
    (metric(-0.01, -0.02, 0.01), (None, 1000, None)),  # not shown that never
    (metric(-0.01, -0.02, -0.005), (None, None, None)),  # never
    (metric(0.0, 0.0, 0.0), (None, None, None)),
    (metric(0.03, 0.03, 0.03), (334, 334, 334)),  # a part of a call is a call
])  # fmt: skip
def test_calls_until_a_run_has_paid_for_itself(saved, calls):
    assert estimates.calls_until_paid(10.0, saved) == calls


def test_what_a_call_saves_is_paired_and_clustered():
    teacher, student = {"a": 3.0, "b": 5.0, "c": 4.0}, {"a": 1.0, "b": 2.0, "c": 2.5, "d": 9.0}
    found = estimates.saved_per_call(teacher, student, {"a": 1, "b": 2, "c": 3}, 0.95)
    assert found["estimate"] == pytest.approx((2 + 3 + 1.5) / 3)
    assert found["low"] < found["estimate"] < found["high"]
    assert estimates.saved_per_call(teacher, {"x": 1.0}, {}, 0.95) is None


@pytest.mark.parametrize(("systems", "front"), [
    ({"a": (0.5, 1.0), "b": (0.9, 5.0), "c": (0.4, 2.0)}, ["a", "b"]),
    ({"a": (0.5, 1.0), "b": (0.5, 1.0)}, ["a", "b"]),  # neither beats the other
    ({"a": (0.5, 1.0), "b": (0.5, 2.0), "c": (0.6, 1.0)}, ["c"]),
    ({}, []),
])  # fmt: skip
def test_the_front(systems, front):
    assert estimates.front(systems) == front


class Fixed:
    """Text after 20 ms, four more times 10 ms apart, and the end 30 ms after the last."""

    def __init__(self):
        self.now = self.most = 0
        self.times = {}

    async def ask(self, question, arrived):
        self.now += 1
        self.most = max(self.most, self.now)
        times = self.times[question.id] = [time.perf_counter()]
        for seconds in (0.02, 0.01, 0.01, 0.01, 0.01):
            await asyncio.sleep(seconds)
            arrived()
            times.append(time.perf_counter())
        await asyncio.sleep(0.03)
        self.now -= 1
        times.append(time.perf_counter())
        return Counted(10, 4, 9)


def questions(n):
    return [Question(f"q{i}", f"g{i}", [{"role": "user", "content": f"q{i}"}], 32) for i in range(n)]


def carry_out(target, n, concurrency, **options) -> Loaded:
    return asyncio.run(load(target, questions(n), concurrency, **options))


def test_times_are_those_of_the_target():
    """By the target's own clock, which the same machine delays."""
    target = Fixed()
    found = carry_out(target, 6, 2)
    for one in found.answers:
        began, *arrivals, ended = target.times[one.id]
        assert one.first == pytest.approx(arrivals[0] - began, abs=0.02)
        assert one.last == pytest.approx(arrivals[-1] - began, abs=0.02)
        assert one.latency == pytest.approx(ended - began, abs=0.02)
        assert one.first >= 0.02
        assert one.last >= 0.06
        assert one.latency >= 0.09
        assert one.per_token == pytest.approx((one.last - one.first) / 8)
    times = [time for of in target.times.values() for time in of]
    assert 0 <= found.seconds - (max(times) - min(times)) < 0.1


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_so_many_are_in_flight_and_each_question_is_asked_once(concurrency):
    target = Fixed()
    found = carry_out(target, 6, concurrency)
    assert target.most == min(concurrency, 6)
    assert sorted(one.id for one in found.answers) == [f"q{i}" for i in range(6)]


def test_no_request_is_sent_that_is_not_allowed():
    told = []

    def allowed(in_flight):
        told.append(in_flight)
        return len(told) <= 4

    assert len(carry_out(Fixed(), 10, 2, allowed=allowed).answers) == 4
    assert max(told) <= 1  # those in flight when another one would be sent


def test_a_stop_lets_end_what_is_in_flight(monkeypatch):
    ended = []
    monkeypatch.setattr(interrupt, "stop_requested", lambda: len(ended) >= 2)
    found = carry_out(Fixed(), 10, 2, ended=ended.append)
    assert 2 <= len(found.answers) <= 3


def test_an_error_within_a_target_ends_all():
    class Failing(Fixed):
        async def ask(self, question, arrived):
            if question.id == "q2":
                raise RuntimeError("the engine has ended")
            return await super().ask(question, arrived)

    with pytest.raises(RuntimeError, match="ended"):
        carry_out(Failing(), 10, 2)


@pytest.mark.parametrize(("first", "last", "answer"), [(None, None, 0.0), (0.1, 0.1, None), (0.1, 0.5, None)])
def test_one_token_has_no_time_per_token(first, last, answer):
    from potstill.measure.load import Timed

    assert Timed("q", "g", first, last, 1.0, Counted(1, 0, 1)).per_token is None


USAGE = {
    "choices": [],
    "usage": {"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}},
}


def ask_endpoint(respond, n=4, concurrency=2, **endpoint):
    async def all_():
        with upstream(respond) as server:
            section = Endpoint(url=server.url, model="m", **{"timeout": 2} | endpoint)
            async with endpoint_target(section, Dialect()) as target:
                return await load(target, questions(n), concurrency), server

    return asyncio.run(all_())


def streamed(first=0.1, between=0.05):
    """Headers and an empty event at once, the first text after ``first``, four more ``between`` apart, then what the answer took."""
    role, *texts, end = events(
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        *map(delta, "2+2=4"),
        delta(finish="stop"),
        done=False,
    )
    pieces = [role, first]
    for text in texts:
        pieces += [text, between]
    pieces[-1] = 0.02
    return list(chunked(*pieces, end, *events(USAGE)))


def test_times_of_an_endpoint_are_those_of_its_stream():
    """The first text counts, not the headers nor an event without text; the last text, not the end."""
    found, server = ask_endpoint(lambda *_: streamed())
    body = json.loads(server.seen[0][1])
    assert (body["stream"], body["stream_options"], body["max_tokens"]) == (True, {"include_usage": True}, 32)
    for one in found.answers:
        assert one.counted == Counted(20, 8, 5)
        assert one.first >= 0.1
        assert one.last - one.first >= 0.2
        assert one.per_token == pytest.approx((one.last - one.first) / 4)
        assert one.latency >= one.last + 0.01
    # The last text is 0.3 s after the headers. Of the fastest answer, because other work on the machine delays some.
    assert min(one.first for one in found.answers) < 0.3


def test_an_endpoint_that_does_not_stream_has_no_first_token():
    found, _ = ask_endpoint(lambda *_: reply(answer("4")))
    assert {(one.first, one.counted) for one in found.answers} == {(None, Counted(12, 0, 3))}


@pytest.mark.parametrize(("response", "error"), [
    (reply({"error": {"message": "slower"}}, "429 Too Many Requests"), "slower"), ([None], ""), ([3.0, b""], ""),
    (list(chunked(*events(delta("2+"), done=False))), "ended early"), (reply(b"no"), ""),
])  # fmt: skip
def test_errors_of_an_endpoint_are_counted(response, error):
    found, _ = ask_endpoint(lambda *_: response, 2, timeout=0.3)
    assert len(found.answers) == 2
    assert all(one.counted.error and error in one.counted.error for one in found.answers)


def test_a_key_is_not_in_an_error(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-very-secret-key")
    found, server = ask_endpoint(
        lambda *_: reply({"error": {"message": "wrong key sk-very-secret-key"}}, "401 No"), 1, 1, api_key_env="SOME_KEY"
    )
    assert b"sk-very-secret-key" in server.seen[0][0]
    assert found.answers[0].counted.error.endswith("wrong key ***")
