"""Wrong options of observables are told when these are declared, not at the first record."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import xarray

from simengine.diagnostics import streaming
from simengine.diagnostics.streaming import field
from simengine.errors import InputError, ScenarioError

BINNED, CAMP = field("agents.op", bins=4, range=(-1, 1)), field("agents.camp", states=3)
GOOD: dict[str, tuple[list[Any], dict[str, Any]]] = {
    **dict.fromkeys(("bimodality", "variance"), (["agents.op", (-2, 2)], {})),
    **dict.fromkeys(("differential_entropy", "early_warning"), (["agents.op"], {})),
    **dict.fromkeys(("permutation_entropy", "statistical_complexity"), (["agents.op"], {})),
    **dict.fromkeys(("gaussian_mutual_information", "neighbour_mutual_information"), (["agents.op", "agents.p.0"], {})),
    **dict.fromkeys(("heading_entropy", "heading_entropy_excess"), (["agents.h"], {"dimensions": 2})),
    **dict.fromkeys(("heading_polarization", "effective_channels"), (["agents.h"], {})),
    **dict.fromkeys(("assortative_information", "transfer_entropy"), ([CAMP, "friends"], {})),
    **dict.fromkeys(("degree_entropy", "random_walk_entropy_rate"), (["friends"], {})),
    **dict.fromkeys(
        ("community_disagreement", "mutual_information", "dual_total_correlation", "o_information",
         "total_correlation"), ([BINNED, CAMP], {}),
    ),
    **dict.fromkeys(
        ("action_entropy", "active_information_storage", "drift", "effective_opinions", "entropy",
         "entropy_production", "entropy_rate", "novelty", "opinion_polarization", "pairwise_transfer_entropy",
         "policy_diversity", "policy_entropy", "resonance", "transience"), ([CAMP], {}),
    ),
    "spatial_entropy": (["agents.p", 0, 1], {}),
    "field": (["agents.op"], {"bins": 3, "range": (0, 1)}),
}  # fmt: skip
"""A declaration that is right, for each observable."""

WRONG: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ("history", "source_history", "target_history", "lag", "window", "order", "sample", "k", "shuffles",
         "dimensions"),
        (-1, 2.5, 1.0, True, "x", math.nan, [1], (0, 1), np.array([1, 2]), {"a": 1}, xarray.Dataset(), object()),
    ),
    **dict.fromkeys(("estimator", "measure", "indicator", "detrend"), ("x", "grasberger", 3, None, ["nsb"], {"a": 1})),
    **dict.fromkeys(("given", "centred"), (1, "x", [True], np.array([1, 2]))),
    "alpha": (-1, 0, "x", math.nan, [1], True), "unit": ("nats", None, 3, ["nat"], "1", np.array([1, 2])),
    "name": (3, None, "a b", ["a"], np.array([1, 2])), "when": (3, "x", [1]), "cells": (0, 2.5, True, "a b", [1]),
    "bins": (0, 2.5, True, [0, 1], "a b", 10**10), "states": (0, 2.5, True, [3], "a b"),
    "range": ((0, 1, 2), (1, 0), (1, 1), 3, "x", (math.nan, 1), (0, math.inf), (True, False), ("a b", 1), [[0], [1]]),
}  # fmt: skip
"""Values that no observable takes, by the name of the option; mutual information takes fields as ``given``."""


def test_every_observable_is_tried() -> None:
    assert set(GOOD) == set(streaming.__all__) - {"flags_of"}


@pytest.mark.parametrize("name", GOOD)
def test_wrong_options_are_told_in_one_line_at_the_declaration(name: str) -> None:
    args, options = GOOD[name]
    declare = getattr(streaming, name)
    declare(*args, **options)
    for option in list(inspect.signature(declare).parameters)[len(args) :]:
        for value in WRONG.get(option, ()):
            said = {**options, option: value}
            if name == "field" and option == "states":
                said |= {"bins": None, "range": None}
            with pytest.raises((ScenarioError, InputError)) as caught:
                declare(*args, **said)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", GOOD)
def test_what_is_no_field_is_told_at_the_declaration(name: str) -> None:
    args, options = GOOD[name]
    for place in range(len(args)):
        for value in (3, None, "", "agents.", "a.b.c.d", [1], {"a": 1}, np.array([1, 2]), xarray.Dataset()):
            if (
                name in ("spatial_entropy", "bimodality", "variance")
                and place
                and isinstance(value, int | list | np.ndarray)
            ):
                continue
            with pytest.raises((ScenarioError, InputError)) as caught:
                getattr(streaming, name)(*args[:place], value, *args[place + 1 :], **options)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: streaming.entropy(CAMP, estimator="grasberger"), "did you mean 'grassberger'"),
        (lambda: field("agents.op", bins=3, range=(0, 1, 2)), r"range is \(0, 1, 2\); expected \(low, high\)"),
        (lambda: streaming.active_information_storage(CAMP, history=2.5), "history is 2.5; expected a whole number"),
        (lambda: streaming.active_information_storage(CAMP, history=10**9), "at most 21"),
        (lambda: streaming.entropy(CAMP, window=True), "window is True"),
        (lambda: streaming.permutation_entropy("agents.op", order=5, lag=10**12), "lag is 1000000000000"),
        (lambda: streaming.differential_entropy("agents.op", sample=3), "at most 2 neighbours"),
        (lambda: streaming.total_correlation(CAMP), "expected two or more"),
    ],
)
def test_the_line_of_a_declaration_says_what_is_allowed(declare: Any, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        declare()


def test_a_range_may_be_a_list() -> None:
    assert hash(field("agents.op", bins=3, range=[0, 1])) == hash(field("agents.op", bins=3, range=(0, 1)))
