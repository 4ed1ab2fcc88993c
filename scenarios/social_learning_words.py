"""What language models are told in `social_learning`: planner, oracle and agents, as car buyers.

Three roles, after the protocol of Arghal et al. (2025), whose own prompts are not published: the planner chooses how
reliable the next report is, the oracle words the finding that the engine has drawn, and agents read the report, state
a belief and buy or leave. Each is told what the rule in its place knows: of what others did the public belief, as it
follows from Bayes' rule, of its own report the reliability; nobody is told the state.

`ACT_FROM_HISTORY` and `BELIEVE_FROM_HISTORY` list what earlier buyers did instead; they take a memory, in which each
community keeps its public history, and one model for both decisions shares it. `PLAN_ALONE` leaves out that buyers see
one another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from simengine.policies.language.prompts import Prompt
from simengine.scenarios.wording import spelt_out

PARTS = ("engine", "gearbox", "brakes", "body", "electrics", "suspension", "cooling", "steering")
"""What a report may be about; which one is drawn for each report."""

FINDINGS = ("bad", "good")


class Reliability(BaseModel):
    """A planner's answer."""

    reliability: float = Field(ge=0.5, le=1.0, description="reliability of the next report, from 0.5 to 1")


class Belief(BaseModel):
    """A stated belief."""

    probability: float = Field(ge=0.0, le=1.0, description="probability that the model is good, from 0 to 1")


def report_read(asked: Any) -> NDArray[Any]:
    """Return what each agent's report says."""
    agents = asked.agents
    return spelt_out(agents.message if asked.p.spoken else agents.signal, WORD.texts, asked.texts)


def seen_by_agents(asked: Any) -> dict[str, Any]:
    """Public belief, and the own report; the signal behind it is for analyses, and no text shows it."""
    return {"belief": asked.agents.belief, **seen_without_beliefs(asked)}


def seen_without_beliefs(asked: Any) -> dict[str, Any]:
    """Reliability of the own report, the report, and the signal behind it."""
    agents = asked.agents
    return {"reliability": agents.precision, "report": report_read(asked), "signal": agents.signal}


def seen_by_the_oracle(asked: Any) -> dict[str, Any]:
    """The signal, and the part of the car that the report is about."""
    part = (asked.draw.uniform("part") * len(PARTS)).astype(np.int64)
    return {"part": np.array(PARTS)[part], "finding": np.array(FINDINGS)[asked.agents.signal]}


def seen_by_the_planner(asked: Any) -> dict[str, Any]:
    """Public belief, what the planner wants, and what reliability costs."""
    p = asked.p
    power = "" if p.cost_power == 1.0 else f" to the power {p.cost_power:g}"
    if p.objective == "biased":
        aim = f"You want the model to be bought, good or bad: a buyer who leaves it costs you {p.loss:g}."
        price = f"Reliability {p.precision:g} is free, another r costs {p.cost:g} times |r - {p.precision:g}|{power}."
    else:
        aim = f"You want buyers to be right: one who buys a bad model or leaves a good one costs you {p.loss:g}."
        price = f"Up to {p.precision:g} it is free, an r above costs {p.cost:g} times (r - {p.precision:g}){power}."
    return {"belief": asked.agents.belief, "aim": aim, "price": price}


SETTING = (
    "A car model is either good or bad, the same for everybody, and nobody knows which. Buyers decide one after "
    "another whether to buy it or to leave it. Each reads one report about the model, which no other buyer reads. A "
    "report of reliability r says what is true with probability r: 0.5 is no better than a coin, 1 is certain. "
)
PUBLIC = "Everybody sees how reliable a buyer's report was, and whether the buyer bought. "

BUYING = (
    "You are one of the buyers. Buying a good model or leaving a bad one costs you nothing; buying a bad one or "
    "leaving a good one costs you {p.loss:g}."
)
REPORT = "Your report has a reliability of {reliability:.1%}. It says: {report}"
FROM_OTHERS = "From what earlier buyers did, the model is good with a probability of {belief:.1%}. "
FROM_HISTORY = (
    "Before anybody bought, the model was good with a probability of {p.prior:.1%}. What earlier buyers "
    "did:\n{memory}\n"
)
DECIDE = "\nDo you buy the model or leave it?"
STATE = "\nHow likely is it that the model is good?"
REMEMBERED = "a buyer whose report had a reliability of {reliability:.1%} decided to {action} it."

ACT = Prompt(
    system=SETTING + PUBLIC + BUYING,
    question=FROM_OTHERS + REPORT + DECIDE,
    see=seen_by_agents,
    labels=("leave", "buy"),
    digits={"belief": 3, "reliability": 3},
    untrusted=("report",),
)

BELIEVE = replace(ACT, question=FROM_OTHERS + REPORT + STATE, labels=(), answer=Belief)

ACT_FROM_HISTORY = replace(
    ACT, question=FROM_HISTORY + REPORT + DECIDE, see=seen_without_beliefs, digits={"reliability": 3},
    remember=REMEMBERED,
)  # fmt: skip

BELIEVE_FROM_HISTORY = replace(
    ACT_FROM_HISTORY, question=FROM_HISTORY + REPORT + STATE, labels=(), answer=Belief, remember=""
)

WORD = Prompt(
    system=(
        "You write reports about a car model for buyers. A report is one or two sentences about one part of the car. "
        "It says what was found, so that a reader can tell whether that speaks for a good model or for a bad one. It "
        "gives no numbers and no advice, and does not say how reliable it is."
    ),
    question="Part: {part}. Finding: it speaks for a {finding} model. Write the report.",
    see=seen_by_the_oracle,
    words=True,
    texts=("What was found speaks for a bad model.", "What was found speaks for a good model."),
    max_tokens=80,
)

PLANNING = (
    "You decide how reliable the next buyer's report is. You know what buyers know, you do not read reports, and you "
    "cannot choose what they say. What you gain or lose with a buyer counts {p.discount:g} times as much as with the "
    "one before. Of a buyer, buying a bad model and leaving a good one are mistakes, which buyers want to avoid."
)

CHOOSE = "How reliable is the next report to be?"

PLAN = Prompt(
    system=SETTING + PUBLIC + PLANNING,
    question="{aim} {price} " + FROM_OTHERS + CHOOSE,
    see=seen_by_the_planner,
    answer=Reliability,
    digits={"belief": 3},
)

PLAN_ALONE = replace(
    PLAN,
    system=SETTING + "Everybody sees how reliable a buyer's report was. " + PLANNING,
    question="{aim} {price} The model is good with a probability of {belief:.1%}. " + CHOOSE,
)
