"""What calls have cost and may cost: a ledger in whole numbers, a hard budget, a price table, a forecast."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from simengine.errors import InputError, RunError
from simengine.policies.language.calls import Request, Usage
from simengine.policies.language.limits import Limits
from simengine.scenario.parameters import shown


class BudgetSpent(RunError):  # noqa: N818
    """The next calls would pass the budget; nothing of them was sent, and all answers so far are recorded."""


@dataclass
class Spent:
    """Whole numbers of one decision, or of all.

    ``calls`` are requests that were sent and have an outcome, ``attempts`` the sendings that took. ``input`` includes
    ``cached_input``, ``output`` includes ``reasoning``; ``estimated`` counts calls whose server gave no usage.
    """

    calls: int = 0
    attempts: int = 0
    input: int = 0
    cached_input: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: int = 0

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.input + self.output

    def add(self, attempts: int, usage: Usage) -> None:
        """Count one call."""
        self.calls += 1
        self.attempts += attempts
        self.input += usage.input
        self.cached_input += usage.cached_input
        self.output += usage.output
        self.reasoning += usage.reasoning
        self.estimated += not usage.known


@dataclass
class Ledger:
    """What was spent, by the label of the decision."""

    labels: dict[str, Spent] = field(default_factory=dict)

    @classmethod
    def restored(cls, rows: Iterable[tuple[Any, ...]]) -> Ledger:
        """The ledger of what a record says was paid (`Record.spent`)."""
        return cls({label: Spent(*(int(number) for number in numbers)) for label, *numbers in rows})

    @property
    def total(self) -> Spent:
        """The sum over labels."""
        sums = Spent()
        for spent in list(self.labels.values()):
            for name, number in vars(spent).items():
                setattr(sums, name, getattr(sums, name) + number)
        return sums

    def add(self, label: str, attempts: int, usage: Usage) -> None:
        """Count one call under a label."""
        self.labels.setdefault(label, Spent()).add(attempts, usage)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Plain numbers by label, labels in order."""
        return {label: asdict(spent) for label, spent in sorted(self.labels.copy().items())}


@dataclass(frozen=True)
class Prices:
    """The user's price table: money per million tokens, as of ``date``.

    ``input`` and ``output`` per million; ``cached`` for input that the server had in its cache (None: as other input).
    """

    input: float
    output: float
    cached: float | None = None
    date: str = ""
    currency: str = "USD"

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached"):
            _not_negative("prices", name, getattr(self, name))

    def cost(self, spent: Spent) -> float:
        """The money for what was spent."""
        cached = self.input if self.cached is None else self.cached
        plain = spent.input - spent.cached_input
        return (plain * self.input + spent.cached_input * cached + spent.output * self.output) / 1e6


@dataclass(frozen=True)
class Budget:
    """What a run may spend, all its earlier parts included; None: no bound.

    ``money`` needs `Prices`. Before calls are sent they are counted with all tokens they may answer with, so a run may
    stop a little before its budget is used up. What is sent is estimated by characters, and repeated attempts are not
    counted: tokens and money may pass the budget by as much as these are off; calls may not.
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "money"):
            _not_negative("budget", name, getattr(self, name))

    def check(self, ledger: Ledger, under_way: Spent, wanted: Spent, prices: Prices | None = None) -> None:
        """`BudgetSpent` when what was spent, is under way and is wanted together pass the budget."""
        spent = ledger.total
        if self.calls is not None and spent.calls + under_way.calls + wanted.calls > self.calls:
            raise BudgetSpent(_over(f"{spent.calls} of {self.calls} calls", f"{wanted.calls} calls"))
        if self.tokens is not None and spent.tokens + under_way.tokens + wanted.tokens > self.tokens:
            raise BudgetSpent(_over(f"{spent.tokens} of {self.tokens} tokens", f"up to {wanted.tokens} tokens"))
        if self.money is not None:
            if prices is None:
                raise InputError("a budget in money needs prices (Prices(input=..., output=...) per million tokens)")
            paid, more = prices.cost(spent), prices.cost(wanted)
            if paid + prices.cost(under_way) + more > self.money:
                unit = prices.currency
                raise BudgetSpent(_over(f"{paid:.4g} of {self.money:g} {unit}", f"up to {more:.4g} {unit}"))


def dearest(requests: Iterable[Request]) -> Spent:
    """What calls may cost at most, as far as can be known before they are sent."""
    found = Spent()
    for request in requests:
        found.calls += 1
        found.input += input_estimate(request)
        found.output += output_ceiling(request)
    return found


def input_estimate(request: Request) -> int:
    """Tokens of the messages: a quarter of their characters, and a few for each message's frame."""
    return sum(len(message.text) // 4 + 5 for message in request.messages) + len(request.schema) // 4


def output_ceiling(request: Request) -> int:
    """The most tokens that the answer may have."""
    if request.kind == "score":
        return min(request.max_tokens, max(map(len, request.labels), default=1))
    return request.max_tokens


@dataclass(frozen=True)
class Forecast:
    """What a run would take: calls, tokens, the shortest time (s) that limits allow, and money if prices are known."""

    calls: int
    tokens: int
    shortest_seconds: float
    money: float | None
    currency: str = ""

    def lines(self) -> list[str]:
        """For a person to read."""
        told = [f"calls: {self.calls:,}", f"tokens: {self.tokens:,}"]
        told.append(f"shortest time under the limits: {self.shortest_seconds:,.0f} s")
        return told if self.money is None else [*told, f"money: {self.money:,.4g} {self.currency}"]


def forecast(
    ledger: Ledger, prices: Prices | None = None, limits: Limits | None = None, *, times: float = 1.0
) -> Forecast:
    """What a run costs whose dry run (with the surrogate, say) left ``ledger``; ``times`` as many steps as that."""
    total = ledger.total
    calls, tokens = round(total.calls * times), round(total.tokens * times)
    minutes = 0.0
    if limits is not None:
        minutes = max(
            calls / limits.requests_per_minute if limits.requests_per_minute else 0.0,
            tokens / limits.tokens_per_minute if limits.tokens_per_minute else 0.0,
        )
    money = prices.cost(total) * times if prices else None
    return Forecast(calls, tokens, minutes * 60, money, prices.currency if prices else "")


def _not_negative(what: str, name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0):
        raise InputError(f"{what}: {name} is {shown(value)}; allowed is a number from 0 up")


def _over(spent: str, wanted: str) -> str:
    return (
        f"budget: {spent} spent, and the next decisions would take {wanted} more; none of them was sent. "
        "All answers are recorded: resume with a larger budget to go on from here"
    )
