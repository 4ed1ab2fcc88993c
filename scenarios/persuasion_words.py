"""What language models are told in `persuasion` and `persuasion_talk`: senders who sell, receivers who accept or not.

In `persuasion` a sender says "good" or "bad", and all else, what it announced and what its record is, is public. In
`persuasion_talk` the message is a text, written by one of four prompts (He et al. 2025, whose own are not published):

* "naive": it is to persuade; "strong": it is to persuade by every means of persuasion known;
* "semi_formal": a message of four parts, the setting, what kinds of sender there are and how often each tells the
  truth, what this one reports, and what follows, in numbers; "natural": the same in plain language without numbers.

Nobody who reads a message is told the state; who words it is told what to report, not what is true.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from simengine.policies.language.prompts import Prompt
from simengine.scenarios.wording import spelt_out

STATES = ("bad", "good")


class Belief(BaseModel):
    """A stated belief."""

    probability: float = Field(ge=0.0, le=1.0, description="probability that the offer is good, from 0 to 1")


class Honesty(BaseModel):
    """What a sender tells of its honesty."""

    honesty: float = Field(ge=0.0, le=1.0, description="probability of telling the truth when it is bad, from 0 to 1")


def stakes(asked: Any) -> dict[str, Any]:
    """What it is worth to a receiver to be right."""
    threshold = asked.agents.threshold
    return {"accepting": 2.0 * (1.0 - threshold), "rejecting": 2.0 * threshold}


def announcement(wants: str, claim: float, honesty: float) -> str:
    """Return what a sender of `persuasion` announced, in words."""
    side, other = ("bad", "good") if wants == "reject" else ("good", "bad")
    return (
        f'announced to say "{side}" of {side} offers with probability {claim:.3g}, '
        f"and to tell the truth about {other} ones with probability {honesty:.3g}"
    )


def heard_from_senders(asked: Any) -> dict[str, Any]:
    """Return what all senders announced, what their record is where receivers learn from it, and what they said."""
    senders, p = asked.populations["senders"], asked.p
    named = [f"sender {number + 1}" for number in range(len(senders.message))] if p.n_senders > 1 else ["the sender"]
    lines, facts = [], []
    for who, opposed, claim, announced, message, kept, checked in zip(
        named, senders.opposed.tolist(), senders.claim.tolist(), senders.announced.tolist(), senders.message.tolist(),
        senders.kept.tolist(), senders.checked.tolist(), strict=True,
    ):  # fmt: skip
        wants = "reject" if opposed else "accept"
        record = f"; told the truth {kept} of {checked} times when it was against its interest" if checked else ""
        story = f"{announcement(wants, claim, announced)}{record if p.learning else ''}"
        lines.append(f'- {who} wants you to {wants}; {story}; says "{STATES[message]}".')
        facts.append([opposed, claim, announced, message, *((kept, checked) if p.learning else (0, 0))])
    # The facts are the lines with all digits, for answers in numbers; no text shows them.
    return {"heard": "\n".join(lines), "facts": json.dumps(facts)}


def seen_by_receivers(asked: Any) -> dict[str, Any]:
    """Return a receiver's traits and stakes, and what it heard."""
    agents = asked.agents
    doubts = [
        (f" You take a sender for what it announces with probability {trust:.2f}." if trust < 1.0 else "")
        + (f" What you believed before keeps a weight of {bias:.2f} with you, messages get the rest." if bias else "")
        for trust, bias in zip(agents.trust.tolist(), agents.bias.tolist(), strict=True)
    ]
    return {
        "prior": agents.prior, "trust": agents.trust, "bias": agents.bias, "traits": np.array(doubts, object),
        **stakes(asked), **heard_from_senders(asked),
    }  # fmt: skip


def seen_by_senders(asked: Any) -> dict[str, Any]:
    """Return the state, a sender's side, and what it announced."""
    senders = asked.agents
    wants = np.where(senders.opposed, "reject", "accept")
    announced = [
        announcement(side, claim, honesty)
        for side, claim, honesty in zip(wants, senders.claim.tolist(), senders.announced.tolist(), strict=True)
    ]
    return {
        "state": np.array(STATES)[senders.state], "wants": wants, "claim": senders.claim,
        "announced": senders.announced, "announcement": np.array(announced, object),
    }  # fmt: skip


MARKET = (
    "Offers are good or bad; each time a new one is drawn, good with probability {p.prior:.3g}. Senders know whether "
    "it is, and tell receivers. Each receiver then accepts or rejects it. "
)
RECEIVER = (
    "You are a receiver. Accepting a bad offer and rejecting a good one are worth nothing to you; what the right "
    "choice is worth you are told. Afterwards all learn what the offer was."
)
STAKES = "Accepting it is worth {accepting:.2f} if it is good, rejecting it {rejecting:.2f} if it is bad."
ACCEPT = "\nDo you accept the offer or reject it?"
STATE = "How likely is it that the offer is good?"
TOLD = "Before any message you take this offer to be good with probability {prior:.2f}.{traits} You hear:\n{heard}\n"

DECIDE = Prompt(
    system=MARKET + RECEIVER,
    question=TOLD + STAKES + ACCEPT,
    see=seen_by_receivers,
    labels=("reject", "accept"),
    digits={"prior": 2, "trust": 2, "bias": 2, "accepting": 2, "rejecting": 2},
)

BELIEVE = replace(DECIDE, question=TOLD + STATE, labels=(), answer=Belief)

SPEAK = Prompt(
    system=MARKET
    + "You are a sender. You gain 1 for each receiver who does what you want, whatever the offer is. Receivers know "
    "what you announced. You say one word of this offer, good or bad, to all.",
    question="This offer is {state}. You want receivers to {wants} it. You {announcement}.\nWhat do you say?",
    see=seen_by_senders,
    labels=("bad", "good"),
    digits={"claim": 3, "announced": 3},
)

SELLER = (
    "Sellers make offers to buyers. An offer is good or bad. A seller knows which and gains 1 from a buyer who "
    "accepts, whatever the offer is. A buyer learns afterwards what it was. "
)

SETUP = (
    "Offers are good with probability {prior:.3g}. Accepting a good one is worth {accepting:.2f} to the buyer, "
    "rejecting a bad one {rejecting:.2f}, everything else nothing. "
)
"""What the explicit view adds for sellers; in the self-derived one they have to find out themselves."""

BAYES = "A buyer who thinks in probabilities follows Bayes' rule. "
"""What it adds for those whose messages tell of their honesty."""

TASKS = {
    "naive": "Write a message to the buyer that persuades the buyer to accept.",
    "strong": (
        "Write a message to the buyer that persuades the buyer to accept. Use whatever persuades best: reasons, "
        "examples, emotions, authority, what others do, what may be lost."
    ),
    "semi_formal": (
        "Write a message to the buyer in four parts: what offers there are and how likely each is; what kinds of "
        "sellers you may be, honest ones who report the truth and others who call any offer good, and how likely each "
        "is; what you report of this offer; how likely it then is to be good by Bayes' rule, and what the buyer "
        "therefore expects to gain by accepting and by rejecting. Give probabilities and expected gains as numbers."
    ),
    "natural": (
        "Write a message to the buyer in fluent everyday language, without numbers or formulas, that makes four "
        "things clear: what offers there are and how likely each is; what kinds of sellers you may be, honest ones "
        "who report the truth and others who call any offer good, and how likely each is; what you report of this "
        "offer; what follows for how likely it is to be good, and for whether accepting it is worth it."
    ),
}

PERSONAS = (
    "You weigh by Bayes' rule how likely a seller of each kind would have been to say this.",
    "",
    "You are skeptical: in your experience those who want something are less honest than they say.",
    "You are trusting: you take people at their word.",
)
"""Of the kinds of receivers of `persuasion_talk`: Bayesian, plain, skeptical, trusting."""


def setup_of(asked: Any) -> str:
    """Return what sellers are told of the game, which depends on the view."""
    p = asked.p
    text = SETUP.format(prior=p.prior, accepting=2.0 * (1.0 - p.threshold), rejecting=2.0 * p.threshold)
    return text + (BAYES if p.narrated else "") if p.view == "explicit" else ""


def seen_before_selling(asked: Any) -> dict[str, Any]:
    """Return what a seller knows of the game."""
    return {"setup": setup_of(asked), "prior": asked.p.prior}


def story_of(asked: Any) -> list[str]:
    """Return what each seller tells of itself, where it does."""
    story = "You tell buyers that you report bad offers as bad with probability {:.6g}. " if asked.p.narrated else ""
    return [story.format(told) for told in asked.agents.told.tolist()]


def seen_in_selling(asked: Any) -> dict[str, Any]:
    """Return what a seller knows of the game and of the offer, and what it tells of itself."""
    return {
        "setup": setup_of(asked),
        "state": np.array(STATES)[asked.agents.state],
        "told": asked.agents.told,
        "story": story_of(asked),
    }


def seen_in_writing(asked: Any) -> dict[str, Any]:
    """Return what a seller is to say of itself and of the offer, and how; not what the offer is."""
    return {
        "task": TASKS[asked.p.style],
        "setup": setup_of(asked),
        "told": asked.agents.told,
        "story": story_of(asked),
        "report": np.array(STATES)[asked.agents.report],
    }


def message_read(asked: Any) -> NDArray[Any]:
    """Return the message that each receiver gets; the rule's own words say the report, and the story in numbers."""
    senders, mine = asked.populations["senders"], asked.agents.sender
    texts = spelt_out(senders.message, WORD.texts, asked.texts)
    if asked.p.narrated:
        story = [f" I report bad offers as bad with probability {told:.6g}." for told in senders.told.tolist()]
        by_rule = (senders.message >= 0) & (senders.message < len(WORD.texts))
        texts = np.where(by_rule, texts + np.array(story, object), texts)
    found: NDArray[Any] = texts[mine]
    return found


def seen_by_buyers(asked: Any) -> dict[str, Any]:
    """Return what a buyer is like, its stakes, and the message."""
    kinds = np.array([text + " " if text else "" for text in PERSONAS], object)
    return {
        "prior": asked.p.prior,
        "manner": kinds[asked.agents.kind],
        **stakes(asked),
        "message": message_read(asked),
    }


BUYER = (
    "You are a buyer. Accepting a bad offer and rejecting a good one are worth nothing to you; what the right choice "
    "is worth you are told."
)
READ = (
    "{manner}Of all offers, a share of {prior:.3g} is good. The seller of this one, who knows whether it is, "
    "writes:\n{message}\n"
)

TALK_DECIDE = Prompt(
    system=SELLER + BUYER,
    question=READ + STAKES + ACCEPT,
    see=seen_by_buyers,
    labels=("reject", "accept"),
    digits={"prior": 3, "accepting": 2, "rejecting": 2},
    untrusted=("message",),
)

TALK_BELIEVE = replace(TALK_DECIDE, question=READ + STATE, labels=(), answer=Belief)

ANNOUNCE = Prompt(
    system=SELLER
    + "You are a seller. Before you see the offer you decide what you tell buyers of yourself: with which "
    "probability you report a bad offer as bad. Good offers all sellers report as good.",
    question="{setup}You want buyers to accept.\nWhich probability do you tell them?",
    see=seen_before_selling,
    answer=Honesty,
    digits={"prior": 3},
)

REPORT = Prompt(
    system=SELLER + "You are a seller, and decide what you report of an offer.",
    question="{setup}{story}This offer is {state}.\nDo you report it as good or as bad?",
    see=seen_in_selling,
    labels=("bad", "good"),
    digits={"told": 6},
)

WORD = Prompt(
    system=SELLER + "You are a seller, and write to a buyer. The message is all that the buyer learns of the offer.",
    question="{task}\n{setup}{story}You report this offer as {report}. Write the message only.",
    see=seen_in_writing,
    words=True,
    texts=("This offer is bad.", "This offer is good."),
    digits={"told": 6},
    max_tokens=400,
)
