"""Answers of language models in `social_learning` as numbers, for the fit of their biases.

>>> decisions = simengine.decisions("OUT.nc", "agents.believe")
>>> fit_biases(data=logged_answers(decisions), agent="question")
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from simengine.errors import InputError
from simengine.policies.language.reading import Provenance

if TYPE_CHECKING:
    import xarray

FROM_MODELS = (Provenance.ANSWERED, Provenance.REUSED, Provenance.REPAIRED)
NEEDED = ("belief", "reliability", "signal")


def logged_answers(decisions: xarray.Dataset) -> xarray.Dataset:
    """Return what models answered, and to what.

    Parameters
    ----------
    decisions : xarray.Dataset
        What `simengine.decisions` returns for "agents.believe" or "agents.act" of a run.

    Returns
    -------
    xarray.Dataset
        Over ``row``: ``answer``, the stated belief or the probability of buying (of an answer without one the act, 1
        or 0); ``belief``, the public belief as it was shown; ``precision`` and ``signal`` of the report; ``question``,
        equal where all that is equal; ``agent`` and ``step``. Answers that no model gave, and those to questions about
        what is certain, whose odds are infinite, are left out.

    Raises
    ------
    InputError
        For decisions whose contexts do not hold these.
    """
    chosen = decisions.isel(row=np.isin(decisions.provenance, FROM_MODELS))
    texts, question = np.unique(chosen.context.values.astype(str), return_inverse=True)
    rows = [json.loads(text) for text in texts]
    for name in NEEDED:
        if any(name not in row for row in rows):
            raise InputError(
                f"decisions: their contexts hold no {name!r}; take those of agents.believe or agents.act of "
                "social_learning, with a prompt that shows the public belief"
            )
    seen = np.array([[row[name] for name in NEEDED] for row in rows], float).reshape(-1, len(NEEDED))[question]
    answer = chosen.action.values.astype(float)
    if "probability" in chosen:
        buying = chosen.probability.values[:, -1]
        answer = np.where(np.isnan(buying), answer, buying)
    found = chosen[["step", "agent"]].assign(
        answer=("row", answer),
        belief=("row", seen[:, 0]),
        precision=("row", seen[:, 1]),
        signal=("row", seen[:, 2].astype(np.int64)),
        question=("row", question),
    )
    doubtful = (seen[:, :2] > 0.0).all(axis=1) & (seen[:, :2] < 1.0).all(axis=1)
    return found.isel(row=doubtful)
