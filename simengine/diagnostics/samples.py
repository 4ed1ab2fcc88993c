"""What estimators take: arrays, DataArrays with named dims, and variables of run files, as plain numpy blocks.

Samples of one variable have shape (n,), (n, d) for a vector, or (..., n, d) for several batches. In a DataArray the
samples run along ``dim`` (one name or several), the components of a vector along ``components``, and every other dim
is a batch. Series have shape (T,) or (m, T): m realisations of one process, pooled into one estimate; in a DataArray
time is ``dim``, realisations are ``pool``, and every other dim is a batch. A text is the name of a variable of
``data``: a Dataset, or the path of a run file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest
from simengine.scenario.parameters import shown

if TYPE_CHECKING:
    import xarray

Array = NDArray[Any]
Dims = str | Sequence[str] | None

LARGEST = 1e70
"""Numbers are less than this, so that sums of their fourth powers are numbers too."""

MOST_COUNTED = 2**53
"""The most samples that counts may add up to: floats hold whole numbers exactly up to here."""

TO_COUNT = "give whole numbers, or labels made of them by simengine.diagnostics.binned"
"""What to do about numbers with fractions, for functions without bins of their own."""

COMPONENTS = re.compile(r"axis(_\d+)?")
"""The dims along which run files keep the components of vectors."""


@dataclass(frozen=True)
class Blocks:
    """Samples of one or several variables, batch by batch.

    ``arrays`` have shape (*batch, n, d), or (*batch, m, T) for series; n, m and T are the same for all of them.
    """

    arrays: tuple[Array, ...]
    dims: tuple[Hashable, ...]
    coords: Mapping[Hashable, Any]

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch; () for a single one."""
        return self.arrays[0].shape[:-2]

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        """The arrays of each batch in row-major order."""
        for index in np.ndindex(self.batch):
            yield tuple(array[index] for array in self.arrays)


def samples(
    *variables: Any, data: Any = None, dim: Dims = None, components: str | None = None,
    names: Sequence[str] = (), discrete: bool | None = None,
) -> Blocks:  # fmt: skip
    """Return variables as blocks (*batch, n, d); ``InputError`` if they do not fit together or are no good.

    ``names`` are the words for them in messages. With ``discrete=True`` only whole numbers, truth values and texts
    pass, with ``discrete=False`` only numbers, as float64. NaN and infinities never pass.
    """
    if not variables:
        raise InputError("there is no variable to read")
    words = _words(names, len(variables))
    dim = _checked_dims(dim, "dim")
    if components is not None and not isinstance(components, str | int):
        raise InputError(f"components is {components!r}; expected the name of one dim")
    read = [_read(variable, data, word) for variable, word in zip(variables, words, strict=True)]
    named = " and ".join(f"{name}=" for name, given in (("dim", dim), ("components", components)) if given is not None)
    aligned, dims, coords = _aligned(
        read, words, lambda array, word: _columns(array, dim, components, word), named, _listed(components)
    )
    arrays = [_columns_of_array(array, word) if not dims else array for array, word in zip(aligned, words, strict=True)]
    return _finished(arrays, words, dims, coords, discrete, "samples", -2)


def series(
    *variables: Any, data: Any = None, dim: Dims = None, pool: Dims = None,
    names: Sequence[str] = (), discrete: bool | None = None,
) -> Blocks:  # fmt: skip
    """Return variables as blocks (*batch, m, T) of m realisations of T steps; see :func:`samples`."""
    words = _words(names, len(variables))
    dim, pool = _checked_dims(dim, "dim"), _checked_dims(pool, "pool")
    read = [_read(variable, data, word) for variable, word in zip(variables, words, strict=True)]
    named = " and ".join(f"{name}=" for name, given in (("dim", dim), ("pool", pool)) if given is not None)
    aligned, dims, coords = _aligned(
        read, words, lambda array, word: _rows(array, dim, pool, word), named, _listed(pool)
    )
    arrays = [_rows_of_array(array, word) if not dims else array for array, word in zip(aligned, words, strict=True)]
    return _finished(arrays, words, dims, coords, discrete, "steps", -1)


def _checked_dims(dims: Any, word: str) -> Any:
    """Return a name, a list of names, or None."""
    if dims is None or isinstance(dims, str | int):
        return dims
    if not isinstance(dims, list | tuple) or not all(isinstance(one, str | int) for one in dims):
        raise InputError(f"{word} is {dims!r}; expected the name of a dim, or a list of names")
    return list(dims)


def _check_data(data: Any) -> None:
    """Refuse what no variable can be read from, even where none is."""
    import xarray

    if data is not None and not isinstance(data, xarray.Dataset | str | Path):
        raise InputError(f"data is a {type(data).__name__}; expected a Dataset, or the path of a run file")


def _listed(dims: Any) -> list[Any]:
    return [] if dims is None else dims if isinstance(dims, list) else [dims]


def _words(names: Sequence[str], count: int) -> list[str]:
    return list(names) if names else ["data"] if count == 1 else ["x", "y", "z", "w"][:count]


def named(variable: Any, data: Any, word: str) -> Any:
    """Return a variable as it is, or, of a text, the variable of ``data`` with that name."""
    _check_data(data)
    if not isinstance(variable, str):
        return variable
    if data is None:
        raise InputError(f"{word} is the text {variable!r}, the name of a variable: data= must say of which file")
    return _variable(variable, data)


def _read(variable: Any, data: Any, word: str) -> Any:
    """An array or DataArray."""
    import xarray

    found = named(variable, data, word)
    return found if isinstance(found, xarray.DataArray) else as_array(found, word)


def as_array(values: Any, word: str) -> Array:
    """Return values as an array; ``InputError`` for what is none, and for what hides some of its values."""
    if hasattr(values, "data_vars"):
        raise InputError(f"{word} is a Dataset; give one of its variables: {', '.join(map(str, values.data_vars))}")
    if np.ma.is_masked(values):
        raise InputError(f"{word} has masked values; leave them out")
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        if "inhomogeneous" in str(error):
            raise InputError(f"{word} has rows of different lengths; expected an array") from None
        raise InputError(f"{word} cannot be made an array: {error}".split("\n")[0]) from None


def _variable(name: str, data: Any) -> xarray.DataArray:
    import xarray

    if isinstance(data, xarray.Dataset):
        return _named(data, name, "the Dataset")
    path = Path(data)
    try:
        with xarray.open_dataset(path) as dataset:
            return _named(dataset, name, str(path)).load()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        if path.is_dir():
            raise InputError(f"{path} is a folder; give data=simengine.open({str(path)!r})") from None
        reason = "there is no such file" if not path.exists() else "it is no run file"
        raise InputError(f"{path} cannot be opened: {reason}") from None


def _named(dataset: xarray.Dataset, name: str, what: str) -> xarray.DataArray:
    if name not in dataset.variables:
        known = [str(one) for one in dataset.data_vars]
        raise InputError(f"{what} has no variable {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    return dataset[name]


def _aligned(
    read: list[Any], words: list[str], parts: Callable[[Any, str], Any], named: str, apart: Sequence[str]
) -> tuple[list[Array], tuple[Hashable, ...], Mapping[Hashable, Any]]:
    """Bring all to numpy, with batch dims in one order where they have names."""
    import xarray

    labelled = [isinstance(one, xarray.DataArray) for one in read]
    if not any(labelled):
        if named:
            raise InputError(
                f"{' and '.join(words)} have no named dims; {named} is for DataArrays and variables of data="
            )
        return read, (), {}
    for name in apart:
        if not any(name in one.dims for one in read if isinstance(one, xarray.DataArray)):
            known = sorted({str(dim) for one in read if isinstance(one, xarray.DataArray) for dim in one.dims})
            raise InputError(f"no variable has a dim {name!r}{nearest(str(name), known)}; they have {', '.join(known)}")
    if not all(labelled):
        plain = ", ".join(word for word, named in zip(words, labelled, strict=True) if not named)
        raise InputError(f"{plain}: a plain array beside DataArrays; give all of them with names, or none")
    try:
        # Samples are paired by their coordinates, not by their places.
        xarray.align(*read, join="exact")
        arranged = [parts(one, word) for one, word in zip(read, words, strict=True)]
        # A scalar and a vector have different numbers of components.
        broadcast = xarray.align(*arranged, join="exact", exclude={"_component"})
    except InputError:
        raise
    except ValueError as error:
        said = str(error).split("\n")[0].replace(" with join='exact'", "")
        raise InputError(f"{' and '.join(words)} do not fit together: {said}") from None
    batch: list[Hashable] = []
    for array in broadcast:
        batch += [dim for dim in array.dims[:-2] if dim not in batch]
    sizes = {dim: size for array in broadcast for dim, size in array.sizes.items()}
    found = []
    for array in broadcast:
        # Where one was selected of what runs along a dim of others, it goes with each of these.
        array = array.drop_vars([dim for dim in batch if dim in array.coords and dim not in array.dims])
        array = array.expand_dims({dim: sizes[dim] for dim in batch if dim not in array.dims})
        found.append(array.transpose(*batch, *array.dims[-2:]).to_numpy())
    coords = {dim: array.coords[dim] for array in broadcast for dim in batch if dim in array.coords}
    # The empty name marks an array with names but without a batch.
    return found, tuple(batch) or ("",), coords


def _chosen_dims(array: xarray.DataArray, dims: Dims, besides: Sequence[Hashable], word: str) -> list[str]:
    if dims is None:
        left = [str(dim) for dim in array.dims if dim not in besides]
        if len(left) == 1:
            return left
        raise InputError(
            f"{word} has the dims {', '.join(left) or 'none'}: dim= must say along which of them it is read"
        )
    names = _listed(dims)
    if not names or len(set(names) | set(besides)) < len(names) + len(set(besides)):
        said = ", ".join(map(str, names)) or "no dim"
        raise InputError(f"{word} is read along {said}; expected different dims, at least one")
    for name in names:
        if name not in array.dims:
            known = [str(dim) for dim in array.dims]
            raise InputError(f"{word} has no dim {name!r}{nearest(str(name), known)}; it has {', '.join(known)}")
    return names


def _columns(array: xarray.DataArray, dim: Dims, components: str | None, word: str) -> xarray.DataArray:
    """Arrange a DataArray as (*batch, sample, component)."""
    inner = components
    if inner is None:
        read = _listed(dim)
        known = [str(one) for one in array.dims if COMPONENTS.fullmatch(str(one)) and one not in read]
        inner = known[0] if len(known) == 1 else None
    if inner is not None and inner not in array.dims:
        inner = None
    chosen = _chosen_dims(array, dim, [inner], word)
    array = _without_coords(array, chosen)
    array = array.stack(_sample=chosen, create_index=False) if len(chosen) > 1 else array.rename({chosen[0]: "_sample"})
    array = array.rename({inner: "_component"}) if inner else array.expand_dims("_component")
    array = array.drop_vars([name for name in ("_component", "_sample") if name in array.coords])
    return array.transpose(..., "_sample", "_component")


def _rows(array: xarray.DataArray, dim: Dims, pool: Dims, word: str) -> xarray.DataArray:
    """Arrange a DataArray as (*batch, realisation, time)."""
    pooled = [name for name in _listed(pool) if name in array.dims]
    chosen = _chosen_dims(array, dim, pooled, word)
    if len(chosen) != 1:
        raise InputError(f"{word}: a series runs along one dim, not along {', '.join(chosen)}")
    array = _without_coords(array, [*chosen, *pooled]).rename({chosen[0]: "_time"})
    array = array.stack(_series=pooled, create_index=False) if pooled else array.expand_dims("_series")
    array = array.drop_vars([name for name in ("_series", "_time") if name in array.coords])
    return array.transpose(..., "_series", "_time")


def _without_coords(array: xarray.DataArray, dims: Sequence[Hashable]) -> xarray.DataArray:
    return array.drop_vars([name for name, one in array.coords.items() if any(dim in dims for dim in one.dims)])


def _columns_of_array(array: Array, word: str) -> Array:
    if array.ndim == 0:
        raise InputError(f"{word} is a single number; expected samples of shape (n,), (n, d) or (..., n, d)")
    return array[:, None] if array.ndim == 1 else array


def _rows_of_array(array: Array, word: str) -> Array:
    if array.ndim not in (1, 2):
        raise InputError(f"{word} has shape {array.shape}; expected a series of shape (T,), or (m, T) for several")
    return array[None, :] if array.ndim == 1 else array


def _finished(
    arrays: list[Array], words: list[str], dims: tuple[Hashable, ...], coords: Mapping[Hashable, Any],
    discrete: bool | None, what: str, axis: int,
) -> Blocks:  # fmt: skip
    arrays = [checked_values(array, word, discrete) for array, word in zip(arrays, words, strict=True)]
    lengths = {word: array.shape[axis] for array, word in zip(arrays, words, strict=True)}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{word} {count}" for word, count in lengths.items())
        raise InputError(f"the numbers of {what} differ: {said}")
    if axis == -1 and len({array.shape[-2] for array in arrays}) > 1:
        said = ", ".join(f"{word} {array.shape[-2]}" for word, array in zip(words, arrays, strict=True))
        raise InputError(f"the numbers of realisations differ: {said}")
    if any(0 in array.shape for array in arrays):
        raise InputError(f"{words[0]} is empty: there are no {what}")
    try:
        batch = np.broadcast_shapes(*(array.shape[:-2] for array in arrays))
    except ValueError:
        said = ", ".join(f"{word} {array.shape}" for word, array in zip(words, arrays, strict=True))
        raise InputError(f"the shapes do not fit together: {said}") from None
    found = tuple(np.broadcast_to(array, batch + array.shape[-2:]) for array in arrays)
    return Blocks(found, () if dims == ("",) else dims, coords)


def is_discrete(array: Array) -> bool:
    """Whether values are labels: whole numbers, truth values or texts."""
    return np.asarray(array).dtype.kind in "biuUSO"


def checked_values(array: Any, word: str, discrete: bool | None = None) -> Array:
    """Return an array of good values: float64 if continuous; see :func:`samples`."""
    array = as_array(array, word)
    if array.dtype.kind not in "biufUSO":
        raise InputError(f"{word} holds {array.dtype}; expected numbers or labels")
    if array.dtype.kind == "O" and not all(isinstance(one, str) for one in array.ravel().tolist()):
        raise InputError(f"{word} holds objects that are no texts; expected numbers or labels")
    if array.dtype.kind == "f":
        bad = ~(np.abs(array) < np.float64(LARGEST))
        if bad.any():
            place = tuple(int(one) for one in np.argwhere(bad)[0])
            shown_place = place[0] if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1) else place
            limit = f" below {LARGEST:g}" if np.isfinite(array[place]) else ""
            raise InputError(f"{word} holds {array[place]} at {shown_place}; expected finite numbers{limit}")
    if discrete is True and array.dtype.kind == "f":
        raise InputError(f"{word} holds fractions where states are counted; {TO_COUNT}")
    if discrete is False:
        if array.dtype.kind not in "biuf":
            raise InputError(f"{word} holds texts; expected numbers")
        return np.asarray(array, dtype=np.float64)
    found: Array = array
    return found


def checked_counts(counts: Any, word: str = "counts") -> NDArray[np.int64]:
    """Return counts as int64: whole, not negative, at least one-dimensional."""
    array = as_array(counts, word)
    if array.ndim == 0 or array.size == 0:
        given = "empty" if array.ndim else shown(counts)
        raise InputError(f"{word} is {given}; expected how often each state was seen, shape (K,) or (..., K)")
    whole = array.dtype.kind in "biu" or (array.dtype.kind == "f" and bool((array == np.floor(array)).all()))
    if not whole:
        raise InputError(f"{word} holds {array.dtype} that are no whole numbers; counts are whole")
    with np.errstate(over="ignore"):
        total = float(np.abs(array, dtype=np.float64).sum())
    if total > MOST_COUNTED:
        raise InputError(f"{word} add up to more than 2**53, which floats cannot count")
    array = array.astype(np.int64, copy=False)
    if (array < 0).any():
        place = tuple(int(one) for one in np.argwhere(array < 0)[0])
        raise InputError(f"{word} holds {array[place]} at {place}; counts are not negative")
    return array
