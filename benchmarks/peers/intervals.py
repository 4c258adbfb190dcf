"""What each tool of benchmarks/coverage.py does: read simulated data, and print the limits of every interval as JSON."""

import argparse
import json
import logging
import warnings

import numpy as np

SHAPES = {"clustered": ("differences", "clusters"), "seeds": ("scores",), "judge": ("gold", "judge", "rest")}
"""The arrays of each kind of case; those but ``clusters`` have a row for each simulation."""


def measured(**functions):
    """Call the function of each kind with the arrays of each simulation; it returns the limits of a 95 % interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="file of numpy arrays, named KIND/CASE/ARRAY")
    data = np.load(parser.parse_args().data)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    found = {}
    for case in sorted({name.rsplit("/", 1)[0] for name in data}):
        kind = case.split("/")[0]
        arrays = [data[f"{case}/{name}"] for name in SHAPES[kind]]
        fixed = [array for name, array in zip(SHAPES[kind], arrays, strict=True) if name == "clusters"]
        rows = zip(*arrays[: len(arrays) - len(fixed)], strict=True)
        found[case] = [[float(limit) for limit in functions[kind](*row, *fixed)] for row in rows]
    print(json.dumps(found))
