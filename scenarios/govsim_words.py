"""What language models are told in `govsim`: a member of a community that shares a stock, once a month.

Each says in private how much it wants. It is told the stock, how it grows and when it is gone, who shares it, and what
each got in the last month; how long it goes on is not said. The words of place, stock and harvest are parameters, which
the commons (fishery, pasture, pollution) set. With ``universalization`` each is also told the amount above which the
stock shrinks if all take as much, with ``talk`` also what the members have said, between tags, as words of others
(Piatti et al. 2024, whose own prompts are not used).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from simengine.policies.language.prompts import Prompt
from simengine.scenarios.commons_words import guarded, quoted


class Wish(BaseModel):
    """How much is wanted."""

    amount: int = Field(ge=0, description="units wanted, a whole number")


def catches(asked: Any, month: int) -> list[str]:
    """Return for each who got what in a month, the last one that has been harvested, itself first."""
    agents, everyone = asked.agents, asked.populations["agents"]
    homes = set(agents.community.tolist())
    got: dict[int, dict[int, int]] = {home: {} for home in homes}
    for home, seat, joins, amount in zip(
        everyone.community.tolist(), everyone.seat.tolist(), everyone.joins.tolist(), everyone.got.tolist(), strict=True
    ):
        if home in homes and joins < month:
            got[home][seat] = amount
    found = []
    for home, seat in zip(agents.community.tolist(), agents.seat.tolist(), strict=True):
        others = [f"member {other + 1} got {amount}" for other, amount in sorted(got[home].items()) if other != seat]
        mine = [f"you got {got[home][seat]}"] if seat in got[home] else []
        found.append(", ".join(mine + others))
    return found


def remarks(asked: Any) -> list[str]:
    """Return for each what the members of its community have said, the own words included, a line each."""
    agents, everyone = asked.agents, asked.populations["agents"]
    spoken: dict[int, list[str]] = {home: [] for home in set(agents.community.tolist())}
    said = quoted(everyone.said.tolist(), asked)
    for home, seat, words in zip(everyone.community.tolist(), everyone.seat.tolist(), said, strict=True):
        if home in spoken and words:
            spoken[home].append(f"member {seat + 1}: {words}")
    texts = {home: guarded("\n".join(["\nWhat was said:", *lines])) if lines else "" for home, lines in spoken.items()}
    return [texts[home] for home in agents.community.tolist()]


def seen(asked: Any) -> dict[str, Any]:
    """Return the month, the stock and who shares it, what all got, and where it is told, the share of the threshold.

    What rules reckon with is there for answers in numbers; no text shows ``share`` and ``share_before`` unasked.
    """
    names = ("stock", "members", "share", "share_before", "others", "others_got", "most")
    columns: dict[str, Any] = {name: asked.observed[name] for name in names}
    hint = [
        f" If each member took more than {share}, there would be less a month later than there is now."
        if asked.p.universalization
        else ""
        for share in columns["share"].tolist()
    ]
    return columns | {
        "month": asked.step + 1, "me": asked.agents.seat + 1, "got": asked.agents.got, "hint": hint,
        "past": [f" In the last month {told}." if told else "" for told in catches(asked, asked.step)],
        "talk": remarks(asked),
    }  # fmt: skip


def seen_after_harvest(asked: Any) -> dict[str, Any]:
    """Return what all got in this month, what there is for the next, and what was said in the last."""
    communities, home = asked.populations["communities"], asked.agents.community
    return {
        "month": asked.step + 1, "me": asked.agents.seat + 1, "members": communities.members[home],
        "stock": communities.stock[home], "got": asked.agents.got, "caught": catches(asked, asked.step + 1),
        "talk": remarks(asked),
    }  # fmt: skip


RULES = (
    "Several {p.member}s share a {p.place}. The stock is {p.resource}, {p.capacity} at most. Each month every "
    "member says in private how many {p.harvest_units} to {p.take}; each of them takes one unit of the stock and is "
    "income for that member. If all together want no more than there is, each gets what it wants; otherwise all that "
    "there is is handed out among them. Then all learn what each got. What is left at the end of the month doubles, up "
    "to {p.capacity}; with less than {p.collapse_below} left it is gone for good."
)
REQUEST = Prompt(
    system=RULES,
    question="It is month {month}. You are member {me} of {members}. The stock is now {stock}.{past}{hint}{talk}\n"
    "How many {p.harvest_units} do you want to {p.take} this month?",
    see=seen,
    answer=Wish,
    remember="In month {month} the stock was {stock}, and you wanted {action}.",
)

SPEAK = Prompt(
    system=RULES,
    question="Month {month} is over. You are member {me} of {members}. In this month {caught}. The stock of the next "
    "month is {stock}.{talk}\nThe members talk. Say in one or two sentences what you want to say to the others.",
    see=seen_after_harvest,
    words=True,
    texts=("",),
    max_tokens=80,
)

PROMPTS = {"request": REQUEST, "speak": SPEAK}
