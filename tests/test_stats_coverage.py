"""How often intervals hold the truth and tests reject it: enumerated where that can be, else simulated with fixed seeds."""

from math import sqrt

import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import binom, multinomial, norm

from potstill import stats
from potstill.stats.clustered import errors_of_mean
from potstill.stats.seeds import crossed_error

SIMULATIONS = 10_000
VALUES, SHARES, TRUTH = np.array([-1, 0, 1], dtype=np.int8), [0.2, 0.5, 0.3], 0.1
"""Paired differences of answers, their probabilities and their mean."""


# Exact methods, by all outcomes


def coverage(function, n, p):
    intervals = [function(k, n) for k in range(n + 1)]
    low, high = np.array([(one.low, one.high) for one in intervals]).T[:, :, None]
    return (binom.pmf(np.arange(n + 1)[:, None], n, p) * ((low <= p) & (p <= high))).sum(0)


GRID = np.linspace(0.0005, 0.9995, 1000)


@pytest.mark.parametrize("n", [1, 2, 5, 10, 20, 50, 100, 400])
def test_clopper_pearson_covers_at_least_what_it_says(n):
    assert coverage(stats.clopper_pearson_interval, n, GRID).min() >= 0.95 - 1e-12


@pytest.mark.parametrize("n", [10, 20, 50, 100, 400])
def test_wilson_covers_what_it_says_on_average(n):
    assert 0.945 <= coverage(stats.wilson_interval, n, GRID).mean() <= 0.955


def rejections(method, n):
    """The probability [discordant questions up to n] that the test rejects at 5 % where both are right equally often."""
    rows = []
    for discordant in range(n + 1):
        p = [stats.mcnemar([[0, b], [discordant - b, 0]], method).p_value for b in range(discordant + 1)]
        rows.append(binom.pmf(np.arange(discordant + 1), discordant, 0.5)[np.array(p) <= 0.05].sum())
    return np.array(rows)


def test_mcnemars_exact_test_never_rejects_too_often():
    assert rejections("exact", 150).max() <= 0.05


def test_the_mid_p_test_hardly_ever_does():
    """Over numbers of discordant questions, of which there are up to 80 %, as in Fagerland, Lydersen and Laake 2013."""
    given = rejections("midp", 100)
    for n in (10, 20, 50, 100):
        for share in np.linspace(0.02, 0.8, 14):
            assert (binom.pmf(np.arange(n + 1), n, share) * given[: n + 1]).sum() <= 0.055


def trinomial(n, only_a, only_b):
    """Each number of questions that only A and that only B answers, and its probability."""
    cells = np.array([(b, c) for b in range(n + 1) for c in range(n + 1 - b)])
    full = np.column_stack([cells, n - cells.sum(1)])
    return cells, multinomial.pmf(full, n, [only_a, only_b, 1 - only_a - only_b])


@pytest.mark.parametrize("discordance", [0.12, 0.2, 0.4])
def test_noninferiority_at_the_margin_is_found_in_one_of_twenty(discordance):
    n, margin = 50, 0.1
    cells, probability = trinomial(n, (discordance - margin) / 2, (discordance + margin) / 2)
    likely = probability > 1e-9
    found = np.array([stats.noninferiority([[n - b - c, b], [c, 0]], margin).noninferior for b, c in cells[likely]])
    assert 0.02 <= probability[likely][found].sum() <= 0.06


def test_the_planned_number_of_questions_has_the_power_planned_for():
    n = stats.required_sample_size(0.3, margin=0.1)
    cells, probability = trinomial(n, 0.15, 0.15)
    likely = probability > 1e-6
    found = np.array([stats.noninferiority([[n - b - c, b], [c, 0]], 0.1).noninferior for b, c in cells[likely]])
    assert 0.78 <= probability[likely][found].sum() <= 0.82


def test_looking_after_every_question_rejects_in_one_of_twenty_at_most():
    """All paths of 150 discordant questions, stopped at the first look at which the p-value is at most 5 %."""
    alive, rejected = np.array([1.0]), 0.0
    for n in range(1, 151):
        alive = (np.append(alive, 0) + np.append(0, alive)) / 2
        wins = np.flatnonzero(alive > 1e-15)
        p = [stats.anytime_mcnemar(w, n - w).p_value for w in range(n // 2 + 1)]
        stop = wins[[p[min(w, n - w)] <= 0.05 for w in wins.tolist()]]
        rejected += alive[stop].sum()
        alive[stop] = 0
    assert 0.01 < rejected <= 0.05


@pytest.mark.parametrize("mean", [0.5, 0.8, 0.97])
def test_limits_of_a_mean_that_are_looked_at_after_every_value_miss_it_in_one_of_twenty_at_most(mean):
    """The limits are the narrowest of all looks until then: where one ever missed the mean, the last ones do, too."""
    rng, simulations = np.random.default_rng(3), 300
    missed = 0
    for _ in range(simulations):
        found = stats.anytime_mean(rng.random(250) < mean)
        missed += not found.low <= mean <= found.high
    assert missed <= 0.05 * simulations
    once = stats.anytime_mean(np.repeat([1.0, 0.0], [20, 5])[rng.permutation(25)])
    assert 0.3 < once.low < once.mean < once.high < 1


def test_limits_of_a_mean_become_narrower_with_each_value():
    rng = np.random.default_rng(4)
    values = rng.random(400) < 0.7
    looks = [stats.anytime_mean(values[:n]) for n in range(0, 401, 20)]
    assert [look.low for look in looks] == sorted(look.low for look in looks), "limits only become narrower"
    assert [look.high for look in looks] == sorted((look.high for look in looks), reverse=True)
    assert looks[-1].high - looks[-1].low < 0.2


# Groups and seeds


def sizes_of(clusters):
    """From 3 to 11 questions, 7 on average."""
    return np.array([3 + 5 * i % 9 for i in range(clusters)], dtype=float)


def clustered_sums(sizes, icc, rng):
    """Sums [simulations, clusters] of differences, of which two in a cluster have the correlation ``icc``: with the
    probability sqrt(icc) a question has the difference of its cluster, else one of its own."""
    cluster = np.repeat(np.arange(len(sizes)), sizes.astype(int))
    common = rng.choice(VALUES, p=SHARES, size=(SIMULATIONS, len(sizes)))
    own = rng.choice(VALUES, p=SHARES, size=(SIMULATIONS, len(cluster)))
    shares = rng.random((SIMULATIONS, len(cluster)), dtype=np.float32) < sqrt(icc)
    differences = np.where(shares, common[:, cluster], own)
    starts = np.append(0, np.cumsum(sizes)[:-1]).astype(int)
    return np.add.reduceat(differences, starts, axis=1, dtype=float), differences


@pytest.mark.parametrize("icc", [0.1, 0.44])
@pytest.mark.parametrize("clusters", [12, 15, 30, 100])
def test_clustered_intervals(clusters, icc):
    sizes = sizes_of(clusters)
    sums, differences = clustered_sums(sizes, icc, np.random.default_rng(clusters))
    mean, _, _, error, df = errors_of_mean(sums, sizes)
    half = stdtrit(df, 0.975) * error
    assert 0.93 <= (np.abs(mean - TRUTH) <= half).mean() <= 0.97
    # What is simulated is what the function of one comparison does.
    labels = np.repeat(np.arange(clusters), sizes.astype(int))
    for i in range(20):
        found = stats.clustered_difference(differences[i], np.zeros(len(labels)), labels)
        assert (found.low, found.high) == pytest.approx((mean[i] - half[i], mean[i] + half[i]))
        both = differences[i] == 1, differences[i] == -1
        tested = stats.clustered_mcnemar(*both, labels, "obuchowski").statistic
        assert tested == pytest.approx(sums[i].sum() ** 2 * (clusters - 1) / clusters / (sums[i] ** 2).sum())


def test_the_interval_of_independent_questions_covers_too_little():
    sizes = np.full(15, 7.0)
    _, differences = clustered_sums(sizes, 0.44, np.random.default_rng(1))
    half = 1.96 * differences.std(1, ddof=1) / sqrt(105)
    assert 0.66 <= (np.abs(differences.mean(1) - TRUTH) <= half).mean() <= 0.72


@pytest.mark.parametrize("clusters", [12, 30, 100])
def test_clustered_noninferiority_at_the_margin_is_found_in_one_of_twenty_at_most(clusters):
    """The true difference and the margin are 0.1."""
    sizes = sizes_of(clusters)
    labels = np.repeat(np.arange(clusters), sizes.astype(int))
    _, differences = clustered_sums(sizes, 0.44, np.random.default_rng(clusters))
    found = [
        stats.clustered_noninferiority(-of > 0, of > 0, labels, TRUTH)  # a is right where the difference is -1
        for of in differences[:3000]
    ]
    assert 0.01 <= np.mean([one.noninferior for one in found]) <= 0.06  # fewer with few clusters
    assert all(one.noninferior == (one.low > -TRUTH) == (one.p_value < 0.05) for one in found)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize(("clusters", "icc"), [(12, 0.1), (15, 0.44), (30, 0.44), (100, 0.44)])
def test_clustered_proportions(clusters, icc, p):
    labels = np.repeat(np.arange(clusters), sizes_of(clusters).astype(int))
    rng = np.random.default_rng(clusters)
    hits = 0
    for _ in range(2000):
        common, own = rng.random(clusters) < p, rng.random(len(labels)) < p
        correct = np.where(rng.random(len(labels)) < sqrt(icc), common[labels], own)
        interval = stats.clustered_proportion_interval(correct, labels)
        hits += interval.low <= p <= interval.high
    assert hits / 2000 >= 0.93


def test_a_proportion_without_clusters_is_wilsons_but_for_t():
    correct = [1.0] * 30 + [0.0] * 70
    interval, wilson = stats.clustered_proportion_interval(correct, None), stats.wilson_interval(30, 100)
    assert interval.low < wilson.low < 0.3 < wilson.high < interval.high
    assert (interval.low, interval.high) == pytest.approx((wilson.low, wilson.high), abs=0.004)


@pytest.mark.parametrize("correct", [0.0, 1.0])
def test_a_proportion_that_never_varies_counts_clusters(correct):
    interval = stats.clustered_proportion_interval([correct] * 60, np.arange(60) // 5)
    wide = stats.wilson_interval(int(12 * correct), 12)
    assert interval.high - interval.low >= wide.high - wide.low
    one = stats.clustered_proportion_interval([correct] * 60, [0] * 60)
    assert (one.low, one.high) == (0, 1)


@pytest.mark.parametrize("method", ["t", "sign flips", "durkalski", "obuchowski"])
def test_clustered_tests_reject_equality_in_one_of_twenty_at_most(method):
    sizes = sizes_of(15)
    labels = np.repeat(np.arange(15), sizes.astype(int))
    rng = np.random.default_rng(4)
    p = []
    for _ in range(1500):
        common, own = (
            rng.choice(VALUES, p=[0.25, 0.5, 0.25], size=15),
            rng.choice(VALUES, p=[0.25, 0.5, 0.25], size=len(labels)),
        )
        differences = np.where(rng.random(len(labels)) < sqrt(0.44), common[labels], own)
        a, b = (differences > 0).astype(float), (differences < 0).astype(float)
        if method in ("t", "sign flips"):
            found = stats.clustered_difference(a, b, labels)
            p.append(found.p_value if method == "t" else found.sign_flip_p_value)
        else:
            p.append(stats.clustered_mcnemar(a, b, labels, method).p_value)
    assert 0.03 <= (np.array(p) <= 0.05).mean() <= 0.065


@pytest.mark.parametrize("clusters", [12, 30, 100])
@pytest.mark.parametrize(("of_seeds", "of_clusters"), [(0.3, 0.3), (0.1, 0.66), (0.5, 0.0), (0.0, 0.3)])
def test_intervals_of_a_recipe_by_five_seeds(clusters, of_seeds, of_clusters):
    """Standard deviations between seeds and between clusters; questions differ by 0.7, and by 0.7 from seed to seed."""
    rng, n_seeds, sizes = np.random.default_rng(5), 5, sizes_of(clusters)
    crossed = SIMULATIONS, n_seeds, clusters
    sums = sizes * (
        of_seeds * rng.normal(size=(SIMULATIONS, n_seeds, 1))
        + of_clusters * rng.normal(size=(SIMULATIONS, 1, clusters))
        + 0.1 * rng.normal(size=crossed)
    ) + np.sqrt(sizes) * (0.7 * rng.normal(size=(SIMULATIONS, 1, clusters)) + 0.7 * rng.normal(size=crossed))
    mean, error, df = crossed_error(sums, sizes)
    assert 0.93 <= (np.abs(mean) <= stdtrit(df, 0.975) * error).mean() <= 0.97


# Resampling, ratios, judges


@pytest.mark.parametrize(("clusters", "icc"), [(12, 0.44), (30, 0.44)])
def test_the_bootstrap_of_clusters(clusters, icc):
    sizes = sizes_of(clusters)
    _, differences = clustered_sums(sizes, icc, np.random.default_rng(6))
    labels, zero = np.repeat(np.arange(clusters), sizes.astype(int)), np.zeros(int(sizes.sum()))
    found = [stats.paired_bootstrap(row, zero, labels, seed=i) for i, row in enumerate(differences[:1000])]
    assert 0.93 <= np.mean([one.low <= TRUTH <= one.high for one in found]) <= 0.97


def test_the_recovered_gap():
    rng, covered, n = np.random.default_rng(7), 0, 200
    for _ in range(1500):
        level = rng.normal(size=n)
        base, student, teacher = ((level + rng.normal(size=n) < limit).astype(float) for limit in (-1.0, 0.2, 0.5))
        found = stats.recovered_gap(base, student, teacher)
        p = norm.cdf(np.array([-1.0, 0.2, 0.5]) / sqrt(2))
        covered += found.low <= (p[1] - p[0]) / (p[2] - p[0]) <= found.high
    assert 0.93 <= covered / 1500 <= 0.97


@pytest.mark.parametrize(("n", "simulations"), [(200, 4000), (1000, 2000)])
def test_means_by_a_judge(n, simulations):
    """Gold is 1 for 60 %; the judge takes a fifth of the others for 1, on ten times as many questions."""
    rng, found = np.random.default_rng(8), []
    for _ in range(simulations):
        gold = (rng.random(11 * n) < 0.6).astype(float)
        judge = np.where(rng.random(11 * n) < 0.8, gold, 1.0)
        found.append(stats.ppi_mean(gold[:n], judge[:n], judge[n:]))
    assert 0.93 <= np.mean([one.low <= 0.6 <= one.high for one in found]) <= 0.97
    by_gold_alone = 2 * 1.96 * sqrt(0.24 / n)
    assert np.mean([one.high - one.low for one in found]) < 0.7 * by_gold_alone
