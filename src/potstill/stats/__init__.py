"""Intervals and tests. Every function is importable from here; numpy and scipy load with the first that is used."""

from potstill.lazy import lookup

FUNCTIONS = {
    "agreement": ("cohen_kappa", "fleiss_kappa", "gwet_ac1", "krippendorff_alpha"),
    "anytime": ("anytime_mcnemar", "anytime_mean"),
    "bootstrap": ("paired_bootstrap",),
    "clustered": (
        "clustered_difference",
        "clustered_mcnemar",
        "clustered_proportion_interval",
        "clustered_standard_error",
    ),
    "clustered_score": ("clustered_noninferiority",),
    "corrected": ("corrected_mean",),
    "gap": ("recovered_gap",),
    "judges": ("expected_calibration_error", "ppi_mean"),
    "labels": ("macro_f1", "macro_f1_difference", "macro_f1_interval"),
    "length": ("length_controlled",),
    "means": ("mean_interval",),
    "multiple": ("adjust_p_values", "fixed_sequence", "intersection_union", "partial_conjunction"),
    "paired": ("equivalence", "mcnemar", "noninferiority", "paired_difference"),
    "planning": ("minimum_detectable_difference", "required_sample_size"),
    "proportions": ("clopper_pearson_interval", "wilson_interval"),
    "strengths": ("ranked",),
    "rater_pairs": ("two_raters",),
    "ratings": ("bradley_terry", "davidson"),
    "seeds": ("crossed_interval",),
}
"""The functions of each module of this package."""

__getattr__, __dir__ = lookup(__name__, FUNCTIONS)
