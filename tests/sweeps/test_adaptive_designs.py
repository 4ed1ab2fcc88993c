from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest

from simengine import Output, Scenario, field, observable, param, population
from simengine.errors import InputError, RunError, StoreError
from simengine.sweeps import designs
from simengine.sweeps.adaptive import Adaptive, ByFunction, Told, adaptive_from_json
from simengine.sweeps.checking import CheckedAdaptive, checked
from simengine.sweeps.search import Search


@observable(uncertain=True)
def cost(agents: Any) -> float:
    """Cost."""
    return 0.0


@observable(outputs=(Output("profile", dims=("bin",)),))
def profile(agents: Any) -> Any:
    """Have several values."""
    return np.zeros(3)


class Valley(Scenario):
    """Has something to minimise."""

    x: float = param(0.0, low=-10, high=10)
    count: int = param(1, low=0, high=100)
    rule: Literal["good", "bad"] = param("good")
    flag: bool = param(True)
    agents = population(size=1, place=field(float))
    observe = [cost, profile]


def valley(point: dict[str, Any]) -> float:
    return (point["x"] - 2.0) ** 2 + 0.01 * (point["count"] - 30) ** 2 + (5.0 if point["rule"] == "bad" else 0.0)


def outcomes(point: dict[str, Any]) -> Told:
    return Told(point, [{"cost": valley(point) - 0.5}, None, {"cost": np.float64(valley(point) + 0.5)}])


def carried_on(design: Adaptive, told: Sequence[Told] = (), batches: int = 10_000) -> list[Told]:
    told = list(told)
    for _ in range(batches):
        proposed = design.propose(told)
        if not proposed:
            break
        told += [outcomes(dict(point)) for point in proposed]
    return told


def search(**changes: Any) -> Search:
    pytest.importorskip("optuna")
    given: dict[str, Any] = {"n_points": 60, "minimise": "cost", "batch": 7, "seed": 1}
    return designs.optuna({"x": (-10, 10), "count": (0, 100), "rule": ["good", "bad"]}, **(given | changes))


# -- told -------------------------------------------------------------------------------------------------------------


def test_a_mean_is_that_of_the_replicates_that_did_not_fail() -> None:
    assert Told({}, [{"a": 1}, None, {"a": np.array([4.0])}]).mean("a") == 2.5
    assert math.isnan(Told({}, [None]).mean("a"))
    with pytest.raises(RunError, match="no variable 'cots'; did you mean 'cost'"):
        Told({}, [{"cost": 1}]).mean("cots")
    with pytest.raises(RunError, match="cost has 2 values"):
        Told({}, [{"cost": [1, 2]}]).mean("cost")


# -- searches ---------------------------------------------------------------------------------------------------------


def test_a_search_finds_a_better_point_than_as_many_drawn_evenly() -> None:
    told = carried_on(checked(search(n_points=100), Valley, {}))
    assert len(told) == 100
    best = min(valley(dict(item.point)) for item in told)
    # Of points drawn evenly a share of 0.0008 (half an ellipse of axes 0.32 and 3.2) are below 0.1: 100 have one with
    # probability 0.08.
    assert best < 0.1
    after = [valley(dict(item.point)) for item in told[50:]]
    before = [valley(dict(item.point)) for item in told[:10]]
    assert np.median(after) < np.median(before)


def test_maximising_is_minimising_the_opposite() -> None:
    least, largest = search(), search(minimise=None, maximise="cost")
    told = carried_on(least, batches=4)
    negated = [Told(item.point, [{"cost": -item.mean("cost")}]) for item in told]
    assert largest.propose(negated) == least.propose(told)
    assert largest.propose(told) != least.propose(told)


def test_a_search_is_repeatable_and_follows_its_seed() -> None:
    assert carried_on(search()) == carried_on(search())
    assert carried_on(search(), batches=1) != carried_on(search(seed=2), batches=1)


def test_a_search_that_was_interrupted_goes_on_as_if_it_were_not() -> None:
    whole = carried_on(checked(search(), Valley, {}))
    begun = carried_on(checked(search(), Valley, {}), batches=3)
    said = json.loads(json.dumps(checked(search(), Valley, {}).to_json()))
    again = checked(adaptive_from_json(said), Valley, {})
    assert carried_on(again, begun) == whole


def test_proposals_have_the_types_of_the_parameters_and_come_once() -> None:
    told = carried_on(checked(search(), Valley, {"flag": False}))
    assert {tuple(map(type, item.point.values())) for item in told} == {(float, int, str)}
    assert len({tuple(item.point.values()) for item in told}) == len(told) == 60
    assert all(-10 <= item.point["x"] <= 10 and 0 <= item.point["count"] <= 100 for item in told)


def test_the_last_batch_has_what_is_left_and_then_there_is_none() -> None:
    design = search(n_points=10, batch=7)
    first = carried_on(design, batches=1)
    assert len(first) == 7
    assert len(carried_on(design, first, batches=1)) == 10
    assert design.propose(carried_on(design)) is None
    assert design.most_points == 10


def test_a_search_ends_when_its_space_is_used_up() -> None:
    pytest.importorskip("optuna")
    design = checked(
        designs.optuna(count=(1, 4), flag=[True, False], n_points=100, maximise="cost", batch=3), Valley, {}
    )
    told: list[Told] = []
    while proposed := design.propose(told):
        told += [Told(point, [{"cost": point["count"]}]) for point in proposed]
    assert sorted((item.point["count"], item.point["flag"]) for item in told) == [
        (count, flag) for count in (1, 2, 3, 4) for flag in (False, True)
    ]


def test_points_that_failed_are_not_proposed_again_and_do_not_stop_a_search() -> None:
    design = checked(search(n_points=30), Valley, {})
    told: list[Told] = []
    while proposed := design.propose(told):
        told += [Told(point, [None, {"cost": math.nan}]) for point in proposed]
    assert len({tuple(item.point.values()) for item in told}) == 30


def test_a_search_leaves_the_librarys_messages_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    optuna = pytest.importorskip("optuna")
    before = optuna.logging.get_verbosity()
    search().propose([])
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger().level == logging.WARNING


def test_points_of_another_space_are_refused() -> None:
    with pytest.raises(RunError, match=r"the point x=99, count=1, rule='good' is not of the space"):
        search().propose([outcomes({"x": 99, "count": 1, "rule": "good"})])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: designs.optuna(n_points=3, minimise="cost"), "no parameter is given"),
        (lambda: designs.optuna(x=(0, 1), n_points=3), "either minimise= or maximise="),
        (lambda: designs.optuna(x=(0, 1), n_points=3, minimise="a", maximise="b"), "either minimise= or maximise="),
        (lambda: designs.optuna(x=(0, 1), n_points=3, minimise=cost), "given by its name"),
        (lambda: designs.optuna(x=(0, 1), n_points=0, minimise="cost"), "n_points: got 0"),
        (lambda: designs.optuna(x=(0, 1), n_points=3, minimise="cost", batch=0), "batch: got 0"),
        (lambda: designs.optuna(x=(1, 0), n_points=3, minimise="cost"), "x: got .*low below high"),
        (lambda: designs.optuna(x=["a"], n_points=3, minimise="cost"), "nothing to choose"),
        (lambda: designs.optuna(x=["a", "b", "a"], n_points=3, minimise="cost"), "a choice is given twice"),
        (lambda: designs.optuna(x="ab", n_points=3, minimise="cost"), "bounds .* or a list of choices"),
        (lambda: designs.optuna(x=3, n_points=3, minimise="cost"), "bounds .* or a list of choices"),
        (lambda: checked(search(minimise="cots"), Valley, {}), "records no variable 'cots'; did you mean 'cost'"),
        (lambda: checked(search(minimise="profile"), Valley, {}), "profile has a value for each bin"),
        (lambda: checked(search(), Valley, {"x": 1.0}), "x is both swept and fixed"),
        (lambda: checked(search(), Valley, {}, 1_000_000), "60,000,000 runs"),
        (
            lambda: checked(designs.optuna(y=(0, 1), n_points=3, minimise="cost"), Valley, {}),
            "unknown parameter 'y' of Valley",
        ),
        (
            lambda: checked(designs.optuna(x=(0, 11), n_points=3, minimise="cost"), Valley, {}),
            "optuna: x: the bounds .* reach further",
        ),
        (
            lambda: checked(designs.optuna(rule=(0, 1), n_points=3, minimise="cost"), Valley, {}),
            "optuna: rule is good | bad: only numbers",
        ),
        (
            lambda: checked(designs.optuna(rule=["good", "baad"], n_points=3, minimise="cost"), Valley, {}),
            "got 'baad', .*did you mean 'bad'",
        ),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_line(make: Any, message: str) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(InputError, match=message):
        make()


def test_the_standard_error_of_a_variable_can_be_minimised() -> None:
    assert checked(search(minimise="cost_standard_error"), Valley, {}).most_points == 60


def test_a_missing_library_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"optuna is not installed: pip install simengine\[adaptive\]"):
        designs.optuna(x=(0, 1), n_points=3, minimise="cost")


# -- designs of the user's --------------------------------------------------------------------------------------------


def halving(told: Sequence[Told]) -> list[dict[str, Any]] | None:
    """Propose the middle, thrice."""
    return [{"x": 8 / 2 ** len(told)}] if len(told) < 3 else None


class Doubling(Adaptive):
    """Proposes the double of what was last."""

    def propose(self, told: Sequence[Told], /) -> list[dict[str, Any]] | None:
        """Return one point."""
        return [{"count": 2 * told[-1].point["count"] if told else 1}] if len(told) < 4 else []


def run_through(design: Adaptive) -> list[dict[str, Any]]:
    told: list[Told] = []
    while proposed := design.propose(told):
        told += [Told(point, [{}]) for point in proposed]
    return [dict(item.point) for item in told]


def test_any_function_and_any_subclass_may_propose_points() -> None:
    assert run_through(checked(ByFunction(halving), Valley, {})) == [{"x": 8.0}, {"x": 4.0}, {"x": 2.0}]
    assert run_through(checked(Doubling(), Valley, {})) == [{"count": 1}, {"count": 2}, {"count": 4}, {"count": 8}]
    design = checked(Doubling(), Valley, {})
    assert isinstance(design, CheckedAdaptive)
    assert checked(design, Valley, {}) is design
    assert design.most_points is None


@pytest.mark.parametrize("design", [ByFunction(halving), Doubling()])
def test_a_design_of_the_users_comes_back_from_what_a_folder_keeps(design: Adaptive) -> None:
    said = json.loads(json.dumps(checked(design, Valley, {}).to_json()))
    assert run_through(adaptive_from_json(said)) == run_through(design)


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({}, StoreError, "does not say how"),
        ({"search": "optuna", "space": 3}, StoreError, "does not say how"),
        ({"search": "guess", "function": {"name": "halving", "module": __name__}}, (InputError, StoreError), "DIR"),
        ({"search": "function", "function": {"name": "f", "not_kept": "why"}}, InputError, r"give it again: design="),
    ],
)
def test_a_design_that_is_not_kept_is_asked_for(said: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        adaptive_from_json(said, "DIR")


@pytest.mark.parametrize(
    ("proposed", "message"),
    [
        ([{"y": 1}], "the adaptive design: unknown parameter 'y'"),
        ([{"x": 11}], "the adaptive design: point 0: parameter 'x' of Valley: got 11"),
        ([{"x": 1}, {"x": 1.0}], "points 0 and 1 are the same"),
        (3, "the adaptive design: points: got 3, allowed is a list of dicts"),
        ("x", "allowed is a list of dicts"),
        ([3], "point 0 is 3"),
    ],
)
def test_a_proposal_that_is_not_allowed_is_told_before_anything_starts(proposed: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(ByFunction(lambda told: proposed), Valley, {}).propose([])


@pytest.mark.parametrize(
    ("proposed", "message"),
    [
        ([{"x": 1}], r"point 0 \(x=1.0\) was proposed before"),
        ([{"count": 1}], "points of count after points of x"),
        ([{"x": 50}], "got 50"),
    ],
)
def test_a_later_proposal_that_is_not_allowed_stops_the_sweep(proposed: Any, message: str) -> None:
    with pytest.raises(RunError, match=f"the adaptive design: .*{message}"):
        checked(ByFunction(lambda told: proposed), Valley, {}).propose([Told({"x": 1.0}, [{}])])
