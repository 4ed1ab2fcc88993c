"""What language models are told in `commons`: a villager who fishes, watches, proposes and votes.

A round of the paper's language models is four decisions of each villager: effort, punishment, a proposal, a vote (four
calls with ``Language(..., orders=1)``; by default the two options of punishing are shown in both orders). It is told
its role and its needs, what it has and sees, and the norm; how the stock grows, what it can carry and how effort turns
into harvest stays unsaid. Where villagers are altruists or selfish, one of eight lines of its kind is dealt out to each
(the paper's own lines and prompts are not used); ``Language(..., personas=)`` takes their place.

What may be seen is what the rule sees: the parameters ``sees_stock``, ``sees_norm`` and ``sees_peer`` hold for models,
too. With ``statements`` proposals come with a text, which others read between tags, as words of somebody else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from simengine.policies.language.contexts import FIRST_TEXT, fenced, guard
from simengine.policies.language.personas import Personas
from simengine.policies.language.prompts import Prompt

SAID = "said"
"""The tag of what others have said."""

ORDINARY = "You are a villager like the others."
ALTRUISTIC = Personas(
    (
        "You want everybody in the village to have enough.",
        "You would rather have less yourself than see a neighbour starve.",
        "You care about those who will live off the stock after you.",
        "You think of the village first and of yourself second.",
        "You are content with little and glad when others do well.",
        "You feel responsible for what all share.",
        "You like to give more than you take.",
        "What is good for all is good for you.",
    )
)
SELFISH = Personas(
    (
        "You want as much for yourself as you can get.",
        "You think that everybody has to look after themselves.",
        "You care about your own wealth and little else.",
        "You take what you can before others do.",
        "You see no reason to have less than your neighbours.",
        "What becomes of the others is their own affair.",
        "You like to take more than you give.",
        "What is good for you comes first.",
    )
)


def persona(asked: Any) -> list[str]:
    """Return who each is, in a line."""
    if asked.p.society == "general":
        return [ORDINARY] * len(asked.ids)
    dealt = zip(ALTRUISTIC.dealt(asked), SELFISH.dealt(asked), asked.agents.altruist.tolist(), strict=True)
    return [kind if altruist else unkind for kind, unkind, altruist in dealt]


def quoted(digests: Sequence[int], asked: Any) -> list[str]:
    """Return the texts behind digests between tags; nothing for those who said nothing."""
    texts = [asked.texts.get(digest, "") if digest >= FIRST_TEXT else "" for digest in digests]
    return [fenced(SAID, text) if text.strip() else "" for text in texts]


def guarded(text: str) -> str:
    """Return a text, and what has to be told of the words of others if there are some in it."""
    return f"{text}\n{guard([SAID])}" if f"<{SAID}>" in text else text


def own(asked: Any) -> dict[str, Any]:
    """Return what each has, and what it has come to believe."""
    agents = asked.agents
    return {
        "persona": persona(asked), "wealth": agents.wealth, "effort": agents.effort, "harvest": agents.harvest,
        "fined": agents.fined, "belief": agents.belief,
    }  # fmt: skip


def norms(asked: Any, seen: bool) -> list[str]:
    """Return the norm of each one's village in a sentence, with what was said for it."""
    villages, village = asked.populations["villages"], asked.agents.village
    if not seen:
        return [""] * len(asked.ids)
    said = quoted(villages.statement[village].tolist(), asked)
    return [
        guarded(f" The norm is {norm:.1f}{f', and this was said for it: {words}' if words else ''}.")
        for norm, words in zip(villages.norm[village].tolist(), said, strict=True)
    ]


def stocks(asked: Any) -> list[str]:
    """Return the stock of each one's village in a sentence, where it is seen."""
    found = asked.populations["villages"].stock[asked.agents.village]
    return [f" The stock is {stock:.0f}." if asked.p.sees_stock else "" for stock in found.tolist()]


def sanctions(asked: Any) -> str:
    """Return what punishment costs, while there is some."""
    if not asked.step < asked.p.sanctions_end:
        return ""
    costs = f"{asked.p.penalty_size:g}", f"{asked.p.punishment_cost:g}"
    return f" Members may punish one another: it costs the punished {costs[0]} and who punishes {costs[1]}."


def seen_before_harvest(asked: Any) -> dict[str, Any]:
    """Return what is known when efforts are chosen."""
    found = own(asked)
    lines = zip(found["harvest"].tolist(), found["fined"].tolist(), strict=True)
    past = [
        f" In the last round you harvested {harvest:.1f}{' and were punished' if fined else ''}." if asked.step else ""
        for harvest, fined in lines
    ]
    met = [""] * len(asked.ids)
    if asked.p.sees_peer:
        pairs = zip(asked.observed["peer_effort"].tolist(), asked.observed["peer_payoff"].tolist(), strict=True)
        met = [
            "" if math.isnan(effort) else f" Another member's effort was {effort:.2f}, its payoff is {payoff:.1f}."
            for effort, payoff in pairs
        ]
    return found | {
        "stock": asked.observed["stock"], "norm": asked.observed["norm"], "past": past, "met": met,
        "in_stock": stocks(asked), "rule": norms(asked, asked.p.sees_norm), "sanctions": sanctions(asked),
    }  # fmt: skip


def seen_of_another(asked: Any) -> dict[str, Any]:
    """Return what is known of the one who was looked at."""
    norm = asked.populations["villages"].norm[asked.agents.village]
    return {
        "persona": persona(asked), "wealth": asked.agents.wealth, "harvest": asked.agents.harvest, "norm": norm,
        "peer_harvest": asked.observed["peer_harvest"],
    }  # fmt: skip


def seen_before_looking(asked: Any) -> dict[str, Any]:
    """Return what is known when members may inspect another."""
    found = own(asked)
    return {name: found[name] for name in ("persona", "wealth", "harvest")} | {"sanctions": sanctions(asked)}


def seen_of_a_model(asked: Any) -> dict[str, Any]:
    """Return how the one fares who may be copied."""
    payoff = asked.observed["model_payoff"]
    return {
        "persona": persona(asked), "payoff": asked.agents.signal, "effort": asked.agents.effort,
        "belief": asked.agents.belief, "model_payoff": np.where(np.isfinite(payoff), payoff, math.nan),
    }  # fmt: skip


def seen_after_harvest(asked: Any) -> dict[str, Any]:
    """Return what is known when norms are proposed."""
    punished = [" You were punished." if fined else "" for fined in asked.agents.fined.tolist()]
    return own(asked) | {
        "proposal": asked.agents.proposal, "punished": punished, "in_stock": stocks(asked),
        "rule": norms(asked, asked.p.sees_norm), "sanctions": sanctions(asked),
    }  # fmt: skip


def candidates(asked: Any) -> list[str]:
    """Return for each what the others of its village propose, the lowest first, with what they say for it."""
    everyone = asked.populations["agents"]
    homes = set(asked.agents.village.tolist())
    proposed: dict[int, list[tuple[float, int]]] = {home: [] for home in homes}
    for home, cap, digest in zip(
        everyone.village.tolist(), everyone.proposal.tolist(), everyone.statement.tolist(), strict=True
    ):
        if home in homes:
            proposed[home].append((cap, digest))
    found = []
    mine = zip(asked.agents.proposal.tolist(), asked.agents.statement.tolist(), strict=True)
    for home, own_proposal in zip(asked.agents.village.tolist(), mine, strict=True):
        others = sorted(proposed[home])
        others.remove(own_proposal)
        said = quoted([digest for _, digest in others], asked)
        lines = [f"- {cap:.2f} {words}".rstrip() for (cap, _), words in zip(others, said, strict=True)]
        found.append(guarded("\n".join(lines)))
    return found


def seen_before_vote(asked: Any) -> dict[str, Any]:
    """Return what is proposed, and what is known besides."""
    return own(asked) | {"proposal": asked.agents.proposal, "proposals": candidates(asked), "in_stock": stocks(asked)}


VILLAGE = (
    "You are a member of a village that lives off one stock, as of the fish in a lake. In each round every member "
    "makes an effort between 0 and 1 and harvests; more effort harvests more, and the same effort harvests more where "
    "the stock is larger. What is left of the stock grows. A member needs {p.subsistence:g} a round: what it harvests "
    "beyond that becomes wealth, what it lacks is taken from its wealth, and whoever has less than nothing starves. "
    "The village has a norm, the most that a member should harvest in a round."
)
SHOWN = {"wealth": 1, "effort": 2, "harvest": 1, "belief": 2}
"""Decimals that are shown, and to which situations are told apart."""

CHOOSE_EFFORT = Prompt(
    system=VILLAGE,
    question="{persona}\nYour effort has been {effort:.2f}, your wealth is {wealth:.1f}.{past}{met}{in_stock}{rule}"
    "{sanctions}\nWhich effort do you make in this round, from 0 to 1?",
    see=seen_before_harvest,
    digits=SHOWN | {"stock": 0, "norm": 1},
    remember="You made an effort of {action}.",
)
INSPECT = Prompt(
    system=VILLAGE,
    question="{persona}\nYou harvested {harvest:.1f} in this round, your wealth is {wealth:.1f}.{sanctions}\n"
    "You may inspect what another member has harvested. Do you inspect it, or let it be?",
    see=seen_before_looking,
    digits={"wealth": 1, "harvest": 1},
)
PUNISH = Prompt(
    system=f"{VILLAGE} Members may punish one another: it costs the punished {{p.penalty_size:g}} and who punishes "
    "{p.punishment_cost:g}.",
    question="{persona}\nIn this round another member has harvested {peer_harvest:.1f}, you {harvest:.1f}. The norm is "
    "{norm:.1f}. Your wealth is {wealth:.1f}.\nDo you punish that member, or let it be?",
    see=seen_of_another,
    digits={"wealth": 1, "harvest": 1, "peer_harvest": 1, "norm": 1},
    remember="A member harvested {peer_harvest:.1f} under a norm of {norm:.1f}; you chose: {action}.",
)
ADOPT = Prompt(
    system=VILLAGE,
    question="{persona}\nYou make an effort of {effort:.2f} and think that nobody should harvest more than "
    "{belief:.2f} in a round; your payoff is {payoff:.1f}. You meet another member, whose payoff is "
    "{model_payoff:.1f}.\nDo you keep to your effort and your view, or copy those of the other?",
    see=seen_of_a_model,
    digits={"payoff": 1, "effort": 2, "belief": 2, "model_payoff": 1},
)
PROPOSE = Prompt(
    system=VILLAGE,
    question="{persona}\nIn this round you made an effort of {effort:.2f} and harvested {harvest:.1f}; your wealth is "
    "{wealth:.1f}.{punished}{in_stock}{rule}{sanctions} Your view so far is that nobody should harvest more than "
    "{belief:.2f} in a round.\nThe village now agrees on its norm for the next round. Which norm do you propose?",
    see=seen_after_harvest,
    digits=SHOWN | {"proposal": 2},
    remember="You proposed a norm of {action}.",
)
ARGUE = Prompt(
    system=VILLAGE,
    question="{persona}\nIn this round you made an effort of {effort:.2f} and harvested {harvest:.1f}; your wealth is "
    "{wealth:.1f}.{punished}{in_stock}{rule} You propose that nobody harvests more than {proposal:.2f} in a round.\n"
    "Say to the other members, in one or two sentences, what you want to say for your proposal.",
    see=seen_after_harvest,
    words=True,
    texts=("",),
    digits=SHOWN | {"proposal": 2},
    max_tokens=80,
)
VOTE = Prompt(
    system=VILLAGE,
    question="{persona}\nIn this round you made an effort of {effort:.2f} and harvested {harvest:.1f}; your wealth is "
    "{wealth:.1f}.{in_stock} You proposed a norm of {proposal:.2f}. The others propose:\n{proposals}\n"
    "The norm with most votes is that of the next round. Which of the others' proposals do you vote for?",
    see=seen_before_vote,
    digits=SHOWN | {"proposal": 2},
    remember="You voted for a norm of {action}.",
)

PROMPTS = {
    "choose_effort": CHOOSE_EFFORT,
    "inspect": INSPECT,
    "punish": PUNISH,
    "adopt": ADOPT,
    "propose": PROPOSE,
    "argue": ARGUE,
    "vote": VOTE,
}
