"""``ds.sim``: what can be asked of the Dataset of a run or a sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import xarray as xr

When = Literal["last", "stationary"] | float
Correction = Literal["holm", "bonferroni", "benjamini_hochberg"]
Names = str | Sequence[str] | None


@xr.register_dataset_accessor("sim")  # type: ignore[no-untyped-call]
class Sim:
    """Statistics of a run or a sweep: its stationary part, intervals, phases, comparisons, sensitivity.

    Observables are given by name. ``when`` says which number stands for a run: ``"last"``, its last record;
    ``"stationary"``, the mean of its stationary part; or a time, the record nearest to it. Runs that failed or are
    missing, and values that are NaN, are left out: the number of values ``n`` stands beside each result, and attributes
    say how many runs failed or are missing. All methods raise `simengine.InputError`, one line, for what cannot be.
    """

    def __init__(self, data: xr.Dataset) -> None:
        self._data = data

    def stationary(self, name: Names = None) -> xr.Dataset:
        """Return what was recorded from where it is stationary on.

        Parameters
        ----------
        name
            The observable, or several, that have to be stationary: from the latest of their times on. Default: all.

        Returns
        -------
        xarray.Dataset
            Of a run: everything from there on, the time in the attribute ``stationary_from``. Of a sweep, whose runs
            have each a time of their own (``stationary_from``): these observables, NaN before, and everywhere in runs
            that have no stationary part; the attribute ``not_stationary`` counts these.

        Raises
        ------
        InputError
            When a run has no stationary part; the line says why.
        """
        from simengine.analysis.statistics import labelled

        return labelled.stationary(self._data, name)

    def burn_in(self, name: str) -> xr.DataArray:
        """Return the time from which on each run is stationary (MSER, White 1997), NaN where it is not.

        The coordinate ``reason`` is ``stationary``, ``too few records`` (less than 20), ``settles in the second half``,
        ``drifts`` or ``wanders`` (too short against its own memory).
        """
        from simengine.analysis.statistics import labelled

        return labelled.burn_in(self._data, name)

    def is_stationary(self, name: str) -> xr.DataArray:
        """Return whether each run has a stationary part, with the coordinate ``reason`` of `burn_in`."""
        from simengine.analysis.statistics import labelled

        return labelled.is_stationary(self._data, name)

    def interval(
        self, name: Names = None, over: str = "replicate", level: float = 0.95,
        method: Literal["t", "bootstrap"] = "t", when: When | None = None,
    ) -> xr.Dataset:  # fmt: skip
        """Return means with intervals: ``mean``, ``low``, ``high``, ``sd`` and ``n``.

        Parameters
        ----------
        name
            An observable; of several, or by default of all, the result has a dimension ``observable``.
        over
            The dimension to average over: ``"replicate"``, also of designs without a grid (the result then has the
            dimension ``point``), any other one, or ``"time"``: of each run its stationary part, by batch means, which
            take the memory of the series into account (``n_effective`` independent records would be as good).
        level
            Share of intervals that hold the true mean.
        method
            ``"t"``: Student's; ``"bootstrap"``: BCa, always with the same seed.
        when
            Only at this moment; by default at every time.
        """
        from simengine.analysis.statistics import labelled

        return labelled.interval(self._data, name, over, level, method, when)

    def convergence(
        self, name: str, over: str = "replicate", level: float = 0.95, precision: float | None = None,
        when: When = "last",
    ) -> xr.Dataset:  # fmt: skip
        """Return ``mean`` and ``half_width`` of the interval over the first ``n_replicates`` runs.

        With ``precision``, in the unit of the observable, ``replicates_needed`` says how many runs of each point give
        an interval of that half width, and the attribute of this name how many the most demanding point needs.
        """
        from simengine.analysis.statistics import labelled

        return labelled.convergence(self._data, name, over, level, precision, when)

    def phases(
        self, rules: Mapping[str, str | Callable[[xr.Dataset], Any]] | None = None, when: When = "stationary"
    ) -> xr.DataArray:
        """Return the phase of each run: the first whose rule holds, ``"none"`` where none does.

        Parameters
        ----------
        rules
            Names of phases and their rules, as ``{"mill": "rotation > 0.65 and polarization < 0.3"}``: comparisons of
            observables and numbers; or functions from a Dataset of one number for each run to booleans. Default: those
            of the scenario, `simengine.analysis.statistics.phases.DEFAULTS`.
        when
            With ``"stationary"``, runs that ended by themselves or have fewer than 20 records count by their last one,
            others by the mean of their stationary part, or of their second half where they do not settle
            (``not_stationary`` counts these).

        Returns
        -------
        xarray.DataArray
            Texts. The attribute ``overlapping`` tells of runs for which several rules held, ``unlabelled`` how many
            runs have no phase.
        """
        from simengine.analysis.statistics import labelled

        return labelled.phases(self._data, rules, when)

    def compare(
        self, other: xr.Dataset | None = None, names: Names = None, between: Sequence[Any] | None = None,
        when: When = "last", level: float = 0.95, correction: Correction | None = "holm",
        looked_at: int | None = None, paired: bool | None = None,
    ) -> xr.Dataset:  # fmt: skip
        """Compare the runs of this Dataset (a) with those of another (b), or two values of a swept parameter.

        Two single runs, as a run and its branch, are compared by their stationary parts, after the records that both
        have in common, with errors by batch means: the attribute ``test`` says so. It tells whether these two courses
        differ, and not whether other seeds would do the same.

        Parameters
        ----------
        other
            Another Dataset.
        names
            Observables; default: all that both have.
        between
            ``(parameter, a, b)`` in the place of another Dataset. Other swept parameters are pooled; choose with
            ``ds.sel(...)`` before where that is not wanted.
        when, level
            Which number stands for a run; of the intervals.
        correction, looked_at
            For ``p_adjusted``: the method (`simengine.analysis.statistics.multiplicity.adjust`), and how many
            comparisons were looked at in all, those that are not shown here included.
        paired
            Whether to compare runs with the same seed. Default: where all seeds of both Datasets are the same.

        Returns
        -------
        xarray.Dataset
            Along ``observable``: ``difference`` (b less a) with ``low`` and ``high``, ``effect`` (Hedges' g),
            ``cliffs_delta``, their intervals, ``p`` (Welch's t, or of pairs), ``p_adjusted``, ``n_a`` and ``n_b``.
        """
        from simengine.analysis.statistics import tables

        return tables.compare(self._data, other, names, between, when, level, correction, looked_at, paired)

    def effects(
        self, names: Names = None, when: When = "last", level: float = 0.95, correction: Correction | None = "holm",
        looked_at: int | None = None,
    ) -> xr.Dataset:  # fmt: skip
        """Return how much each swept parameter matters for each observable.

        Along ``observable`` and ``parameter``: ``variance_share`` (omega squared), the comparison of the runs at the
        lowest with those at the highest value as in `compare`, and ``rank_correlation`` (Spearman's). Parameters with
        more than 20 values are put into five groups.
        """
        from simengine.analysis.statistics import tables

        return tables.effects(self._data, names, when, level, correction, looked_at)

    def sensitivity(self, name: str, when: When = "last", level: float = 0.95) -> xr.Dataset:
        """Return sensitivity indices of an observable, of a sweep over a Saltelli or Morris design.

        Along ``parameter``: ``S1``, ``ST`` (and ``S2``), or ``mu``, ``mu_star`` and ``sigma``, with the ends of their
        intervals ``..._low`` and ``..._high``. Needs SALib: ``pip install "simengine[sensitivity]"``.
        """
        from simengine.analysis.statistics import per_run, sensitivity

        return sensitivity.sensitivity(self._data, per_run.value(self._data, name, when), level)

    def summary(self, names: Names = None, level: float = 0.95) -> xr.Dataset:
        """Return a table of all observables.

        Along ``observable`` (and the points of a sweep): ``last`` record; ``mean``, ``low``, ``high``, ``sd`` and ``n``
        of the stationary part (of a run: by batch means; of a sweep: what runs came to, as in `phases`, over
        replicates); ``stationary`` (whether, or the share of runs) and of a run ``stationary_from``; ``null_z``, the
        distance of the last record from its null; ``flags``, the reasons to doubt it.
        """
        from simengine.analysis.statistics import summary

        return summary.summary(self._data, names, level)
