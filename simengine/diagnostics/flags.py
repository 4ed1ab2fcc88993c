"""Why a number is to be doubted: the names of all flags, and what each means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "few_samples": "too few samples for this estimator; the correction of its bias is no longer exact",
        "unseen_states": "many of the states were seen once or never; more of them may exist than were seen",
        "many_states": "there are nearly as many parameters as samples (degrees of freedom above a tenth of them)",
        "table_overflow": "there are more different states than the table may hold; the rarest are left out",
        "constant": "a variable does not vary",
        "ties": "values are repeated, as continuous ones never are: cast whole numbers to int, or use bins=",
        "atoms": "part of the values sit on a few exact values (saturated opinions, zeros), another part does not",
        "high_dimension": "too many dimensions for nearest neighbours; the value is too small",
        "heavy_tails": "a few values lie very far out; ranks are used where the quantity allows it",
        "not_gaussian": "the data are not jointly Gaussian, which this estimator, or its correction, assumes",
        "saturated": "the value is near the highest that can be seen with so many samples",
        "unstable_subsamples": "halves and other parts of the data give other values than all of it",
        "singular": "variables are functions of one another",
        "short_series": "the series is short against its own memory",
        "not_markov": "the next state depends on more than the present one, which this estimator assumes",
        "drifting": "the halves of the series differ, or it wanders like a random walk: it is not stationary",
        "one_way": "transitions were seen in one direction only; half a count was added for the other one",
        "degenerate_null": "the null has no spread",
        "outside_range": "values lie outside the declared range; they count in its end bins",
        "empty": "there is nothing to count",
        "many_ties": "more than a tenth of the compared values are equal; their order is that of appearance",
        "not_converged": "the iteration stopped before it reached its tolerance",
        "tail_not_power_law": "a power law does not describe the tail",
        "narrow_tail": "the sizes of the tail span less than a factor of ten; many laws look alike over it",
        "near_tie": "the lesser of two numbers is taken, equal to within their errors; it is too small by chance",
        "common_component": "all directions share a large common part; see the centred value",
        "no_heading": "agents that stand still have no heading; they are left out",
        "cascade": "what actions tell of the state cannot be told from chance; those who watch learn nothing",
        "series_end": "too near an end of the series for what it is compared with; there is no value",
        "no_number": "a value is not a number, infinite, or too large for sums of its powers",
        "itself": "one and the same on both sides of a pair; there is no value",
        "serial_dependence": "successive samples resemble each other; errors and nulls are those of independent ones",
        "not_reached": "the threshold was not reached; the interval says from which step on it might have been",
    }
)
"""By name: one sentence that a user can act on. New ones come last: files keep flags as bits in this order."""
