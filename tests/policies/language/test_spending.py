from __future__ import annotations

import pytest

from simengine.errors import InputError, RunError
from simengine.policies.language.calls import Message, Request, Usage
from simengine.policies.language.limits import Limits
from simengine.policies.language.spending import (
    Budget,
    BudgetSpent,
    Ledger,
    Prices,
    Spent,
    dearest,
    forecast,
    input_estimate,
    output_ceiling,
)


def ledger() -> Ledger:
    made = Ledger()
    made.add("agents.plan", 1, Usage(1000, 400, 50, 20))
    made.add("agents.act", 3, Usage(10, 0, 5, 0, known=False))
    made.add("agents.act", 1, Usage(10, 0, 5))
    return made


def test_a_ledger_sums_whole_numbers_by_label():
    assert ledger().total == Spent(3, 5, 1020, 400, 60, 20, 1)
    assert ledger().total.tokens == 1080
    assert list(ledger().as_dict()) == ["agents.act", "agents.plan"]
    assert ledger().as_dict()["agents.act"] == {
        "calls": 2, "attempts": 4, "input": 20, "cached_input": 0, "output": 10, "reasoning": 0, "estimated": 1,
    }  # fmt: skip


def test_a_ledger_is_restored_from_the_rows_of_a_record():
    restored = Ledger.restored([("agents.act", 2, 4, 20, 0, 10, 0)])
    assert restored.labels == {"agents.act": Spent(2, 4, 20, 0, 10, 0)}


def test_money_counts_cached_input_once_and_at_its_own_price():
    spent = Spent(input=1_000_000, cached_input=250_000, output=500_000, reasoning=100_000)
    assert Prices(2.0, 8.0, 0.4).cost(spent) == pytest.approx(0.75 * 2 + 0.25 * 0.4 + 0.5 * 8)
    assert Prices(2.0, 8.0).cost(spent) == pytest.approx(2 + 4)


@pytest.mark.parametrize(
    ("budget", "passes", "fails"),
    [
        (Budget(calls=5), Spent(calls=1), Spent(calls=2)),
        (Budget(tokens=2000), Spent(input=420), Spent(input=400, output=21)),
        (Budget(money=0.003), Spent(output=100), Spent(output=110)),
    ],
)
def test_a_budget_holds_what_was_spent_is_under_way_and_is_wanted(budget, passes, fails):
    prices = Prices(1.0, 10.0, 0.5)
    under_way = Spent(calls=1, input=500)
    budget.check(ledger(), under_way, passes, prices)
    with pytest.raises(BudgetSpent, match="resume with a larger budget"):
        budget.check(ledger(), under_way, fails, prices)


def test_a_spent_budget_ends_a_run_in_one_line():
    with pytest.raises(RunError, match="budget: 3 of 3 calls spent, and the next decisions would take 1 calls more"):
        Budget(calls=3).check(ledger(), Spent(), Spent(calls=1))


def test_an_open_budget_and_calls_that_need_nothing_pass():
    Budget().check(ledger(), Spent(), Spent(calls=10**9, input=10**12))
    Budget(calls=3).check(ledger(), Spent(), Spent())


@pytest.mark.parametrize("settings", [{"calls": -1}, {"tokens": "all"}, {"money": True}, {"money": float("nan")}])
def test_budgets_that_make_no_sense_are_named(settings):
    with pytest.raises(InputError, match=f"budget: {next(iter(settings))} is .*; allowed is a number from 0 up"):
        Budget(**settings)
    with pytest.raises(InputError, match="prices: output is -1"):
        Prices(1.0, -1.0)


def test_calls_are_counted_as_dear_as_they_can_get():
    text = Request((Message("user", "x" * 400),), max_tokens=30)
    scored = Request((Message("user", "x" * 400),), kind="score", labels=("a", "abc"), max_tokens=30)
    assert (input_estimate(text), output_ceiling(text), output_ceiling(scored)) == (105, 30, 3)
    assert dearest([text, scored]) == Spent(calls=2, input=210, output=33)


def test_a_forecast_scales_a_dry_run_and_names_the_shortest_time():
    found = forecast(ledger(), Prices(1.0, 10.0, currency="EUR"), Limits(60, 540), times=10)
    assert (found.calls, found.tokens) == (30, 10800)
    assert found.shortest_seconds == pytest.approx(1200)
    assert found.money == pytest.approx(10 * (1020 + 600) / 1e6)
    assert found.lines()[-1] == "money: 0.0162 EUR"
    free = forecast(ledger())
    assert (free.shortest_seconds, free.money, len(free.lines())) == (0.0, None, 3)
