"""Whatever is handed to an estimator: there is a number, a flag, or one line that says what is wrong."""

from __future__ import annotations

import inspect
import math
import warnings
from typing import Any

import numpy as np
import pytest
import xarray

from simengine import diagnostics
from simengine.diagnostics.estimate import Estimate
from simengine.errors import InputError

RNG = np.random.default_rng(7)
NUMBERS = RNG.normal(size=60)
LABELS = RNG.integers(0, 3, 60)
COUNTS = np.array([20, 30, 25, 45])
TABLES = np.tile(COUNTS, (6, 1))

GOOD: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "recommend": ([NUMBERS], {}),
    "cross_entropy": ([LABELS, LABELS], {}),
    **dict.fromkeys(
        ("cross_entropy_from_counts", "hellinger", "jensen_shannon", "kl_divergence", "population_stability_index",
         "wasserstein"), ([COUNTS, COUNTS], {}),
    ),
    "entropy_from_counts": ([COUNTS], {}),
    "renyi_entropy": ([COUNTS], {"order": 2}),
    "tsallis_entropy": ([COUNTS], {"order": 2}),
    "conditional_entropy_from_table": ([np.outer(COUNTS, COUNTS)], {}),
    "mutual_information_from_table": ([np.outer(COUNTS, COUNTS)], {}),
    "conditional_mutual_information_from_table": ([np.full((3, 3, 3), 9)], {}),
    "binned": ([NUMBERS], {"bins": 4, "range": (-2, 2)}),
    "histogram": ([NUMBERS], {"bins": 4, "range": (-2, 2)}),
    "histogram_entropy": ([NUMBERS], {"bins": 4, "range": (-2, 2)}),
    "sliding_entropy": ([LABELS], {"window": 20}),
    "cascade_exponent": ([np.arange(1, 60)], {"bootstraps": 20}),
    "drift": ([TABLES], {}),
    **dict.fromkeys(("novelty", "resonance", "transience"), ([TABLES], {"window": 2})),
    "window_counts": ([LABELS], {"window": 20}),
    "early_warning": ([NUMBERS], {"window": 30, "surrogates": 20}),
    "lempel_ziv_complexity": ([LABELS], {"shuffles": 2}),
    "permutation_entropy": ([NUMBERS], {}),
    "statistical_complexity": ([NUMBERS], {}),
    "transfer_entropies": ([RNG.integers(0, 2, (4, 60))], {}),
    "entropy_production": ([LABELS], {}),
    "entropy_rate": ([LABELS], {}),
    "active_information_storage": ([LABELS], {}),
    "predictive_information": ([LABELS], {}),
    "transfer_entropy": ([LABELS, np.roll(LABELS, 1)], {"shuffles": 2}),
    "conditional_entropy": ([LABELS, LABELS], {}),
    "conditional_mutual_information": ([NUMBERS, NUMBERS + LABELS, NUMBERS * LABELS], {"reliability": False}),
    "entropy": ([NUMBERS], {"reliability": False}),
    "joint_entropy": ([NUMBERS, NUMBERS + LABELS], {"reliability": False}),
    "mutual_information": ([NUMBERS, NUMBERS + LABELS], {"reliability": False}),
}  # fmt: skip
"""A call that is right, for each function of the packages."""

VALUES: dict[str, Any] = {
    "nothing": [], "one": [1], "ragged": [[1], [1, 2]], "text": "a", "texts": ["a", "b"] * 30, "None": None,
    "complex": NUMBERS * 1j, "objects": np.array([1, "a", None] * 20, dtype=object),
    "Dataset": xarray.Dataset({"a": ("t", NUMBERS)}), "dict": {"a": 1}, "three dims": np.ones((3, 4, 5), int),
    "dims": xarray.DataArray(np.ones((3, 4, 5), int), dims=("a", "b", "c")), "nan": np.append(NUMBERS[1:], math.nan),
    "inf": np.append(NUMBERS[1:], math.inf), "negative": -LABELS - 1, "zeros": np.zeros(60, int), "level": np.ones(60),
    "huge": np.full(60, 1e308), "bool": LABELS > 1, "short": NUMBERS[:5], "dates": np.arange(60).astype("M8[D]"),
    "empty batch": np.zeros((0, 5, 4), int), "masked": np.ma.masked_array(NUMBERS, mask=LABELS == 1),
    "large": RNG.integers(-(2**62), 2**62, 60), "rows": RNG.integers(0, 3, (4, 60)),
}  # fmt: skip

OPTIONS: tuple[Any, ...] = (
    -1, 2.5, True, "x", None, ["ksg-1"], (0, 1, 2), (1, 0), {"a": 1}, 10**10, 10**30, math.nan, math.inf, 1j, object(),
    np.array([1, 2]), np.array([]), [[1], [1, 2]], xarray.Dataset(),
)  # fmt: skip


def unflagged(found: Any) -> bool:
    """Whether a value is none and nothing says why."""
    if not isinstance(found, Estimate):
        return False
    values = np.asarray(found.value)
    flags = found.flags if values.shape else np.array([*[None], found.flags], object)[1:]
    return any(not math.isfinite(value) and not why for value, why in zip(values.flat, np.ravel(flags), strict=False))


def answered(name: str, args: list[Any], options: dict[str, Any]) -> None:
    """Call; what is raised is one line for the user, and what comes back is flagged if it is no number."""
    found, said = None, "no error has been raised"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = getattr(diagnostics, name)(*args, **options)
    except InputError as error:
        said = str(error)
    assert not unflagged(found)
    assert "\n" not in said
    assert len(said) > 10


def test_every_function_of_these_packages_is_tried() -> None:
    packages = ("choosing", "coding", "counts", "dynamics", "information")
    known = {one for home, names in diagnostics._HOME.items() if home.split(".")[0] in packages for one in names}
    assert set(GOOD) == known - {"bin_edges", "WindowEntropy"}


@pytest.mark.parametrize("name", GOOD)
def test_bad_values_are_refused_in_one_line_or_flagged(name: str) -> None:
    args, options = GOOD[name]
    answered(name, args, options)
    for value in VALUES.values():
        for place in range(len(args)):
            answered(name, [*args[:place], value, *args[place + 1 :]], options)
        answered(name, [value] * len(args), options)


@pytest.mark.parametrize("name", GOOD)
def test_bad_options_are_refused_in_one_line(name: str) -> None:
    args, options = GOOD[name]
    parameters = list(inspect.signature(getattr(diagnostics, name)).parameters.values())
    kept = [one.name for one in parameters[len(args) :] if one.kind is not inspect.Parameter.VAR_POSITIONAL]
    for option in kept:
        for value in OPTIONS:
            answered(name, args, {**options, option: value})
            if option == "bins":
                answered(name, args, {**options, "range": (0, 1), option: value})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: diagnostics.bin_edges(10**10, (0, 1)), "bins is 10000000000; .* at most 16777216"),
        (lambda: diagnostics.bin_edges(10, (1, 1 + 1e-15)), "too narrow for 10 bins"),
        (lambda: diagnostics.bin_edges(10, (-1e308, 1e308)), "below 1e\\+70"),
        (lambda: diagnostics.WindowEntropy(10**12, 5), "states is 1000000000000"),
        (lambda: diagnostics.WindowEntropy(3, 5).push([[0], [1, 2]]), "rows of different lengths"),
        (lambda: diagnostics.kl_divergence("abc", [1, 2]), "p is 'abc'; expected how often"),
        (lambda: diagnostics.hellinger(xarray.Dataset({"a": ("t", [1])}), [1]), "p is a Dataset; .* variables: a"),
        (lambda: diagnostics.mutual_information(LABELS, LABELS, estimator=["ksg-1"]), "estimator is \\['ksg-1'\\]"),
        (lambda: diagnostics.transfer_entropy(LABELS, LABELS, seed=-1, shuffles=3), "seed is -1"),
        (lambda: diagnostics.transfer_entropy(LABELS, LABELS, estimator="ksgg"), "did you mean 'ksg'"),
        (lambda: diagnostics.transfer_entropy(LABELS, TABLES), "differ"),
        (lambda: diagnostics.novelty(TABLES, window=2.5), "window is 2.5; expected a whole number"),
        (lambda: diagnostics.entropy(LABELS, dim=3.5), "dim is 3.5; expected the name of a dim"),
        (lambda: diagnostics.entropy(LABELS, data=4), "data is a int"),
    ],
)
def test_the_line_says_what_is_wrong_and_what_is_allowed(call: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()


def test_one_of_several_runs_goes_with_each_of_them() -> None:
    runs = xarray.DataArray(RNG.integers(0, 2, (3, 60)), dims=("run", "t"), coords={"run": [1, 2, 3]})
    found = diagnostics.mutual_information(runs[0], runs, dim="t")
    assert found.dims == ("run",)
    apart = diagnostics.mutual_information(runs[0].to_numpy(), runs[2].to_numpy())
    assert found[2].value == apart.value
