"""What one run of a sweep comes back with: its recorded values, or why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Failure:
    """Why a run of a sweep has no values.

    Parameters
    ----------
    kind
        Name of the exception's class.
    message
        What it says, one line.
    traceback
        Where it happened, as Python prints it.
    """

    kind: str
    message: str
    traceback: str = ""


@dataclass
class Outcome:
    """One run's results as plain data, small and picklable.

    Parameters
    ----------
    values
        By variable: shape (records, *dims), in the variable's storage type; empty for a failed run. Shorter
        than the sweep's time axis when a stop condition ended the run.
    steps
        Numbers of the recorded steps, shape (records,), int64.
    stopped_at
        Number of the last step.
    stop_reason
        What ended the run.
    failure
        None for a run that was done.
    seconds
        Wall time.
    """

    values: Mapping[str, NDArray[Any]]
    steps: NDArray[np.int64]
    stopped_at: int
    stop_reason: str
    failure: Failure | None = None
    seconds: float = 0.0
