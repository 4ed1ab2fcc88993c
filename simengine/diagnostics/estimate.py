"""The one shape of answer of every estimator: a value with its error, its interval, its null and its doubts."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.flags import FLAGS
from simengine.errors import InputError, nearest
from simengine.scenario.observables import Measured

if TYPE_CHECKING:
    import xarray

Number = float | NDArray[np.float64]

LEVEL = 0.95
"""The nominal probability with which an interval holds the truth."""

QUANTILE = 1.959963984540054
LARGEST_LOGARITHM = 700.0
"""Of the standard normal distribution, at (1 + LEVEL) / 2."""

NAT, BIT = "nat", "bit"
NATS_A_BIT = math.log(2.0)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value with its standard error, its interval and its null.

    All numbers are floats or, of several samples at once, arrays of one shape; NaN where a number is not known.

    Attributes
    ----------
    value
        The estimate, corrected for its bias as far as ``method`` does so.
    standard_error
        Standard deviation of the value over repetitions.
    interval
        Low and high end of a nominal 95 % interval for the truth.
    null_mean, null_sd
        Mean and standard deviation of the value where there is nothing to find (``null`` says what that means), at
        the same number of samples.
    n
        Number of samples, or the effective number where samples hang together.
    unit
        ``"nat"``, ``"bit"``, ``"nat/step"``, ``"1"`` ...
    method
        Name of the estimator.
    flags
        Names of the reasons to doubt the value, each explained in :data:`~simengine.diagnostics.flags.FLAGS`; for
        arrays an object array of such tuples.
    null
        What the null hypothesis is, in words; empty where there is none.
    details
        What else a method has to say, by name: k, bins, lag, subtracted bias, local values, ...
    dims, coords
        Names and coordinates of the dimensions of the arrays, where the data had names.
    """

    value: Number
    standard_error: Number = math.nan
    interval: tuple[Number, Number] = (math.nan, math.nan)
    null_mean: Number = math.nan
    null_sd: Number = math.nan
    n: float | NDArray[Any] = 0
    unit: str = NAT
    method: str = ""
    flags: Any = ()
    null: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    dims: tuple[Hashable, ...] = ()
    coords: Mapping[Hashable, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the numbers; () for one estimate."""
        return np.shape(self.value)

    @property
    def z(self) -> Number:
        """How many standard deviations of the null the value lies above its mean."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (np.asarray(self.value) - self.null_mean) / np.asarray(self.null_sd)
        return found if found.shape else float(found)

    @property
    def reliable(self) -> Any:
        """Whether there is no flag; an array for arrays."""
        if not self.shape:
            return not self.flags
        found = np.array([not one for one in self.flags.ravel()], dtype=bool)
        return found.reshape(self.shape)

    def __float__(self) -> float:
        """The value."""
        return float(self.value)

    def __format__(self, spec: str) -> str:
        """The value by a format, or without one all of the estimate."""
        return format(float(self), spec) if spec else str(self)

    def __getitem__(self, index: Any) -> Estimate:
        """One of several estimates, or some of them."""
        if not self.shape:
            raise InputError("this is one estimate, not several; its number is estimate.value")
        pick = {name: _picked(getattr(self, name), self.shape, index) for name in _NUMBERS}
        low, high = (_picked(part, self.shape, index) for part in self.interval)
        flags = self.flags[index]
        details = {name: _picked(one, self.shape, index) for name, one in self.details.items()}
        return replace(self, **pick, interval=(low, high), flags=flags, details=details, dims=(), coords={})

    def to(self, unit: str) -> Estimate:
        """Return the same estimate in nats or bits; ``details`` stay in nats."""
        have, _, rest = self.unit.partition("/")
        if not isinstance(unit, str) or unit not in (NAT, BIT) or have not in (NAT, BIT):
            raise InputError(f"an estimate in {self.unit!r} cannot be given in {unit!r}; allowed: nat and bit")
        if have == unit:
            return self
        factor = 1.0 / NATS_A_BIT if unit == BIT else NATS_A_BIT
        scaled = {name: getattr(self, name) * factor for name in ("value", "standard_error", "null_mean", "null_sd")}
        low, high = self.interval
        whole = f"{unit}/{rest}" if rest else unit
        return replace(self, **scaled, interval=(low * factor, high * factor), unit=whole)

    def measured(self) -> Measured:
        """Return what an observable hands to the store."""
        return Measured(*(getattr(self, name) for name in ("value", "standard_error", "null_mean", "null_sd")))

    def explained(self) -> str:
        """Return the estimate in words, its doubts with their reasons."""
        if self.shape:
            doubtful = int(np.size(self.value) - np.count_nonzero(self.reliable))
            return f"{self.method}: {np.size(self.value)} estimates of shape {self.shape}, {doubtful} of them flagged"
        lines = [f"{self!r}"]
        if not math.isnan(float(self.null_mean)):
            what = f" ({self.null})" if self.null else ""
            lines.append(f"  null{what}: {self.null_mean:.4g} +- {self.null_sd:.2g}, {float(self.z):.1f} sd away")
        lines += [f"  {name}: {FLAGS[name]}" for name in self.flags]
        return "\n".join(lines)

    def to_dataset(self, name: str = "estimate") -> xarray.Dataset:
        """Return an xarray Dataset: the value as ``name``, the rest as ``name_standard_error`` and so on."""
        import xarray

        dims = self.dims or tuple(f"dim_{axis}" for axis in range(len(self.shape)))
        parts = {
            "": self.value, "_standard_error": self.standard_error, "_low": self.interval[0],
            "_high": self.interval[1], "_null_mean": self.null_mean, "_null_sd": self.null_sd, "_n": self.n,
        }  # fmt: skip
        data: dict[Hashable, Any] = {}
        for part, number in parts.items():
            values = np.broadcast_to(np.asarray(number), self.shape)
            data[name + part] = (dims, values, {} if part == "_n" else {"units": self.unit})
        flags = np.empty(self.shape, object)
        for index in np.ndindex(self.shape):
            flags[index] = " ".join(self.flags[index] if self.shape else self.flags)
        data[f"{name}_flags"] = (dims, flags)
        return xarray.Dataset(data, coords=dict(self.coords), attrs={"method": self.method, "null": self.null})

    def __repr__(self) -> str:
        if self.shape:
            return f"<Estimate of shape {self.shape}, {self.method}, {self.unit}>"
        doubts = f", flags: {', '.join(self.flags)}" if self.flags else ""
        low, high = self.interval
        return (
            f"<Estimate {float(self.value):.5g} +- {float(self.standard_error):.2g} {self.unit}"
            f" [{float(low):.5g}, {float(high):.5g}], n = {self.n:g}, {self.method}{doubts}>"
        )


_NUMBERS = ("value", "standard_error", "null_mean", "null_sd", "n")


def _picked(number: Any, shape: tuple[int, ...], index: Any) -> Any:
    """Part of what belongs to each estimate; what belongs to all stays as it is."""
    if isinstance(number, np.ndarray) and number.shape[: len(shape)] == shape:
        found = number[index]
        return found.item() if isinstance(found, np.generic) else found
    return number


def positive_interval(value: float, error: float) -> tuple[float, float]:
    """An interval of what cannot be negative, symmetric in its logarithm; everything where the error is far larger."""
    if not value > 0.0:
        return value, value
    spread = QUANTILE * error / value
    if not spread < LARGEST_LOGARITHM:
        return 0.0, math.inf
    factor = math.exp(spread)
    return value / factor, value * factor


def normal_interval(
    value: Number, standard_error: Number, lowest: float = -math.inf, highest: float = math.inf
) -> tuple[Number, Number]:
    """Return value -+ 1.96 standard errors, cut to the possible range."""
    reach = QUANTILE * np.asarray(standard_error)
    low, high = np.clip(value - reach, lowest, highest), np.clip(value + reach, lowest, highest)
    return (low, high) if np.shape(low) else (float(low), float(high))


def stacked(
    estimates: Iterable[Estimate], shape: tuple[int, ...], dims: tuple[Hashable, ...] = (),
    coords: Mapping[Hashable, Any] | None = None,
) -> Estimate:  # fmt: skip
    """Put single estimates of one method together, in row-major order, as arrays of a shape.

    Details that are numbers or arrays of one shape become arrays too; others are those of the first estimate.
    """
    single = list(estimates)
    if not shape:
        return replace(single[0], dims=(), coords={})
    if not single:
        raise InputError(f"there is nothing to estimate: shape {shape}")
    numbers: dict[str, Any] = {
        name: np.array([float(getattr(one, name)) for one in single]).reshape(shape) for name in _NUMBERS
    }
    low, high = (np.array([float(one.interval[end]) for one in single]).reshape(shape) for end in (0, 1))
    flags = np.empty(len(single), object)
    flags[:] = [tuple(one.flags) for one in single]
    details = {}
    for name, first in single[0].details.items():
        alike = all(name in one.details for one in single)
        plain = alike and isinstance(first, int | float) and not isinstance(first, bool)
        arrays = alike and all(isinstance(one.details[name], np.ndarray) for one in single)
        if plain:
            details[name] = np.array([one.details[name] for one in single]).reshape(shape)
        elif arrays and len({one.details[name].shape for one in single}) == 1:
            details[name] = np.stack([one.details[name] for one in single]).reshape(shape + first.shape)
        else:
            details[name] = first
    methods = " or ".join(dict.fromkeys(one.method for one in single if one.method))
    return replace(
        single[0], **numbers, method=methods, interval=(low, high), flags=flags.reshape(shape),
        details=details, dims=dims, coords=dict(coords or {}),
    )  # fmt: skip


def flagged(*names: str | None) -> tuple[str, ...]:
    """Return the names of flags that are raised, each once and in alphabetical order; None stands for no flag."""
    raised = {name for name in names if name}
    if not raised:
        return ()
    for name in raised:
        if name not in FLAGS:
            raise KeyError(f"no flag {name!r}{nearest(name, FLAGS)}")
    return tuple(sorted(raised))


def doubted(estimate: Estimate, *names: str | None) -> Estimate:
    """Return a single estimate with further flags."""
    return replace(estimate, flags=flagged(*estimate.flags, *names))


def checked_unit(unit: str) -> str:
    """Return ``unit`` if it is "nat" or "bit"."""
    if not isinstance(unit, str) or unit not in (NAT, BIT):
        raise InputError(f"unit is {unit!r}{nearest(str(unit), (NAT, BIT))}; allowed: nat and bit")
    return unit


def choose(estimators: Mapping[str, Callable[..., Any]], name: str, what: str) -> Callable[..., Any]:
    """Return the estimator of a name; one line with the nearest right name where there is none."""
    if not isinstance(name, str) or name not in estimators:
        raise InputError(
            f"{what}: unknown estimator {name!r}{nearest(str(name), estimators)}; allowed: {', '.join(estimators)}"
        )
    return estimators[name]
