"""What became of a language model's decisions: how undecided it was, who answered, and what it cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter

from simengine.analysis.contents import TIME, attributes_of
from simengine.analysis.plots.axes import PLAIN_UNITS
from simengine.analysis.plots.marks import (
    Array,
    End,
    dataset_of,
    label_axis,
    label_time,
    legend_above,
    makes_room,
    name_lines,
    new_axes,
)
from simengine.analysis.plots.style import colours
from simengine.errors import InputError, nearest

PREFIX, ASKED = "language_", "_asked"
PROVENANCE = ("answered", "reused", "repaired", "refused", "fallbacks")
"""Where actions came from, the best first; the last two are the scenario's fallback."""
ORDER = (0, 5, 4, 3, 1)
"""Of the palette's colours for these: blues where the model answered, warm ones where it did not."""


def language_panel(data: xr.Dataset, *, decision: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw three panels in the place of one: entropy and coverage, where actions came from, and tokens.

    Above, the mean entropy of the answers and the probability that the model gave to the options at all (coverage; what
    is missing went to other words). In the middle, where the actions since the record before came from, as shares.
    Below, tokens sent and received so far.

    Parameters
    ----------
    data
        A run with language models.
    decision
        The decision, by default the one that was asked most.
    ax
        Its place is divided in three; by default that of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes given, now empty, which stand for the three: their figure has these, labelled
        ``language:entropy``, ``language:provenance`` and ``language:cost`` (``get_label()``).

    Raises
    ------
    InputError
        Without decisions of language models, for a decision that is not there, and for several runs.
    """
    held = dataset_of(data, "language_panel")
    there = decisions_of(held)
    if not there:
        raise InputError("language_panel: no decision of this run was put to a language model")
    if decision is None:
        decision = max(there, key=lambda one: float(np.nanmax(held[f"{PREFIX}{one}{ASKED}"].values)))
    decision = str(decision).rpartition(".")[2]
    if decision not in there:
        raise InputError(
            f"language_panel: no decision {decision!r} was put to a language model{nearest(decision, there)}"
        )
    asked = held[f"{PREFIX}{decision}{ASKED}"]
    if set(asked.dims) != {TIME}:
        more = ", ".join(str(dim) for dim in asked.dims if dim != TIME)
        raise InputError(f"language_panel: it draws one run; select one of {more}")

    own = ax is None
    ax = new_axes(ax)
    if own and isinstance(ax.figure, Figure):
        ax.figure.set_size_inches(6.4, 7.2)
    above, middle, below = _divided(ax)
    times = np.asarray(held[TIME].values, np.float64)
    _draw_entropy(above, held, decision, times)
    _draw_provenance(middle, held, decision, times)
    _draw_cost(below, held, decision, times)
    for one in (above, middle):
        one.tick_params(labelbottom=False)
    if len(times) > 1:
        below.set_xlim(times[0], times[-1])
    label_time(below, held)
    return ax


def decisions_of(data: xr.Dataset) -> list[str]:
    """Return the names of the decisions that were put to language models."""
    names = [str(one) for one in data.data_vars]
    return [
        one.removeprefix(PREFIX).removesuffix(ASKED) for one in names if one.startswith(PREFIX) and one.endswith(ASKED)
    ]


def _divided(ax: Axes) -> list[Axes]:
    """Return three axes in the place of one, with one scale of time."""
    ax.set_axis_off()
    figure, place = ax.figure, ax.get_subplotspec()
    names = ("language:entropy", "language:provenance", "language:cost")
    made: list[Axes] = []
    if place is not None:
        # A layout engine makes room for what is written between the three; without one they stand apart.
        free = makes_room(ax)
        grid = place.subgridspec(3, 1, hspace=0.03 if free else 0.7)
        for i, name in enumerate(names):
            made.append(figure.add_subplot(grid[i], sharex=made[0] if made else None, label=name))
        return made
    for i, name in enumerate(names):
        part = ax.inset_axes((0.0, (2 - i) * 0.36, 1.0, 0.26), sharex=made[0] if made else None)
        part.set_label(name)
        made.append(part)
    return made


def _column(held: xr.Dataset, decision: str, column: str) -> Array | None:
    found = held.get(f"{PREFIX}{decision}_{column}")
    return None if found is None else np.asarray(found.values, np.float64)


def _ends_at(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known[-1]) if known.size else 0.0


def _draw_entropy(ax: Axes, held: xr.Dataset, decision: str, times: Array) -> None:
    ends = []
    for column, text, tint in (
        ("mean_entropy", "entropy", colours()[0]),
        ("mean_coverage", "coverage", colours()[2 % len(colours())]),
    ):
        values = _column(held, decision, column)
        if values is None or not np.isfinite(values).any():
            continue
        unit = str(held[f"{PREFIX}{decision}_{column}"].attrs.get("units", "1"))
        named = text if unit in PLAIN_UNITS else f"{text} ({unit})"
        last = _ends_at(values)
        if column == "mean_coverage" and last < 0.01:
            named += f" {last:.1g}"
        ax.plot(times, values, color=tint, label=named, marker="o" if len(times) == 1 else None)
        ends.append(End(named, last, tint))
    if not ends:
        ax.text(
            0.5, 0.5, "no distributions: answers were single options or values", transform=ax.transAxes, ha="center",
            va="center", wrap=True,
        )  # fmt: skip
        ax.set_yticks([])
    else:
        top = max(ax.get_ylim()[1], 1.0)
        ax.set_ylim(-0.05 * top, 1.05 * top)
    label_axis(ax, "y", "Entropy, coverage")
    name_lines(ax, ends)


def _draw_provenance(ax: Axes, held: xr.Dataset, decision: str, times: Array) -> None:
    counts = [_column(held, decision, column) for column in PROVENANCE]
    so_far = np.stack([np.zeros(len(times)) if one is None else np.nan_to_num(one) for one in counts])
    since = np.diff(so_far, axis=1, prepend=0.0)
    number = since.sum(axis=0)
    shares = since / np.where(number > 0.0, number, np.nan)
    there = colours()
    tints = [there[i % len(there)] for i in ORDER]
    known = number > 0.0
    if known.any():
        bottom = np.zeros(int(known.sum()))
        for share, tint, name in zip(shares[:, known], tints, PROVENANCE, strict=True):
            if (share > 0.0).any():
                ax.fill_between(
                    times[known], bottom, bottom + share, color=tint, alpha=0.85, linewidth=0, label=name,
                    step="pre" if len(times) > 2 else None,
                )  # fmt: skip
            bottom = bottom + share
    ax.set_ylim(0.0, 1.0)
    ax.grid(visible=False)
    label_axis(ax, "y", "Share of decisions")
    totals = so_far[:, -1]
    names = ("answered", "reused", "repaired", "refused", "fallback")
    handles = [
        Patch(facecolor=tint, label=f"{name} {int(total):,}")
        for name, tint, total in zip(names, tints, totals, strict=True)
    ]
    legend_above(ax, handles, free=True)


def _draw_cost(ax: Axes, held: xr.Dataset, decision: str, times: Array) -> None:
    ends = []
    for column, text, tint in (
        ("input_tokens", "sent", colours()[0]),
        ("output_tokens", "received", colours()[1 % len(colours())]),
    ):
        values = _column(held, decision, column)
        if values is not None:
            told = f"{text} {int(_ends_at(values)):,}"
            ax.plot(times, values, color=tint, label=told, marker="o" if len(times) == 1 else None)
            ends.append(End(told, _ends_at(values), tint))
    ax.set_ylim(bottom=0.0)
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    label_axis(ax, "y", "Tokens so far")
    calls = _calls(held, decision)
    if calls is not None:
        ax.text(1.0, 1.02, f"{calls:,} calls", transform=ax.transAxes, va="bottom", ha="right")
    name_lines(ax, ends)


def _calls(held: xr.Dataset, decision: str) -> int | None:
    """Return how many calls were paid for a decision, None where the file does not say."""
    spent: Any = attributes_of(held).get("language_calls") or {}
    found = None
    for entries in spent.values():
        for entry in entries if isinstance(entries, list) else [entries]:
            for where, count in (entry.get("spent") or {}).items():
                if str(where).rpartition(".")[2] == decision and "calls" in count:
                    found = (found or 0) + int(count["calls"])
    return found
