"""Learned policies: a torch module answers a decision."""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, RunError, StoreError
from simengine.policies.answers import Asked
from simengine.policies.tiles import evaluating, library, settle, tile_of, weights_digest

Observe = Callable[[Asked], Any]
Array = NDArray[Any]


class Learned:
    """A torch module as policy: what agents observe goes in, logits of the options or values come out.

    Use it as any policy: ``policies={"agents.act": Policy(Learned(module, observe), share=0.5)}``.

    The results are the same bits for any sharding, order and company of agents (see `simengine.policies.tiles`), on
    the same kind of processor and version of torch. For that a row's output must follow from this row alone: a module
    that mixes rows (batch statistics, attention over the batch) or draws random numbers stops the run.

    Parameters
    ----------
    module : torch.nn.Module
        Takes an array (tile, features), returns logits (tile, options), or values (tile,) or (tile, 1). It is copied,
        and the copy put into evaluation mode: training the original further changes nothing here.
    observe : callable or sequence of str
        ``observe(asked)`` returns numbers of shape (agents, features) or (agents,), a pure function of what is
        asked. Or names: of what the decision's gathers collected, or of fields of the agents; vectors take several
        columns.
    distribution : bool
        Whether the engine draws an option from the softmax of the logits, with the agent's own keyed draw; otherwise
        each agent takes the option of the largest logit (the first of several).
    tile : int
        Agents evaluated at once. An agent always has row ``id % tile``, empty rows are zeros.
    device : str
        Where the module is evaluated, ``"cpu"`` or a CUDA device. Bits differ between devices.

    Raises
    ------
    InputError
        When torch is not installed, or the module is none.
    RunError
        When the module's output does not fit the decision, is not a number, or depends on other rows.
    """

    def __init__(
        self, module: Any, observe: Observe | Sequence[str], distribution: bool = True, tile: int = 256,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        torch = library("torch", "a learned policy", "torch")
        if not isinstance(module, torch.nn.Module):
            raise InputError(f"a learned policy is a torch.nn.Module, not {type(module).__name__}")
        if isinstance(tile, bool) or not isinstance(tile, int) or tile < 1:
            raise InputError(f"tile of a learned policy: got {tile!r}, allowed is a whole number of at least 1")
        if not callable(observe) and (isinstance(observe, str) or not all(isinstance(name, str) for name in observe)):
            raise InputError(f"observe of a learned policy: give a function or a sequence of names, not {observe!r}")
        self.observe = observe if callable(observe) else tuple(observe)
        self.distribution, self.tile, self.device = distribution, tile, device
        self.module = copy.deepcopy(module).to(device)
        settle(self.module)
        self.digest = weights_digest(self.module.state_dict())
        self._settled = True
        self._looked_at: set[int] = set()

    def __repr__(self) -> str:
        return f"Learned({type(self.module).__name__}, weights {self.digest[:12]})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_settled": False, "_looked_at": set()}

    def __call__(self, asked: Asked) -> Array:
        """Answer: probabilities (agents, options), options, or values."""
        found = self.outputs(self._features(asked), asked.ids, bool(asked.options) and self.distribution)
        number = len(asked.options)
        if found.ndim == 2 and found.shape[1] == 1 and number != 1:
            found = found[:, 0]
        if found.ndim == 1:
            return found
        if found.shape[1] != number:
            wanted = (
                f"(tile, {number}) for the options {', '.join(asked.options)}" if number else "(tile,) or (tile, 1)"
            )
            raise RunError(f"{self!r} returned an array of shape {(self.tile, *found.shape[1:])}; expected {wanted}")
        return found if self.distribution else np.argmax(found, axis=1)

    def outputs(self, features: Array, ids: Array, softmax: bool = False) -> Array:
        """Return the module's outputs in double precision for agents by id, of shape (agents,) or (agents, outputs)."""
        if not self._settled:
            settle(self.module)
            self._settled = True
        if len(ids) == 0:
            return np.empty(0)
        rows = np.asarray(ids, np.int64) % self.tile
        tiles = tile_of(rows)
        order = np.lexsort((rows, tiles))
        found: Array | None = None
        for members in np.split(order, np.flatnonzero(np.diff(tiles[order])) + 1):
            inputs = np.zeros((self.tile, features.shape[1]))
            inputs[rows[members]] = features[members]
            outputs = self._evaluated(inputs, softmax)
            if features.shape[1] not in self._looked_at:
                self._look_at_rows(inputs, outputs, int(rows[members[0]]), softmax)
            if found is None:
                found = np.empty((len(ids), *outputs.shape[1:]))
            found[members] = outputs[rows[members]]
        assert found is not None
        missing = np.isnan(found) if found.ndim == 1 else np.isnan(found).any(axis=1)
        if missing.any():
            raise RunError(f"{self!r} returned something that is not a number for agent {ids[missing.argmax()]}")
        return found

    def describe(self) -> dict[str, Any]:
        """Return what a file says of the policy, and its content hash covers: sources and weights, as plain values."""
        observe: Any = self.observe
        return {
            "kind": "learned",
            "name": type(self.module).__qualname__,
            "module_source_hash": source_hash([type(part) for part in self.module.modules()]),
            "module_structure_hash": hashlib.sha256(repr(self.module).encode()).hexdigest(),
            "weights_sha256": self.digest,
            "weights": sum(tensor.numel() for tensor in self.module.state_dict().values() if hasattr(tensor, "numel")),
            "observe": getattr(observe, "__qualname__", type(observe).__name__) if callable(observe) else list(observe),
            "observe_source_hash": source_hash([observe]) if callable(observe) else None,
            "distribution": self.distribution,
            "tile": self.tile,
            "device": self.device,
        }

    @staticmethod
    def versions() -> dict[str, str]:
        """Return the versions that bits may depend on besides."""
        return {"version_torch": importlib.metadata.version("torch")}

    def save(self, folder: str | Path) -> Path:
        """Write the weights to ``folder`` as ``SHA-256.pt``, unless they are there; return the path."""
        path = Path(folder) / f"{self.digest}.pt"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            state = {name: value.cpu() for name, value in self.module.state_dict().items()}
            library("torch", "a learned policy", "torch").save(state, partial)
            partial.replace(path)
        return path

    def _features(self, asked: Asked) -> Array:
        observe = self.observe
        given = observe(asked) if callable(observe) else columns(asked, observe)
        found = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
        found = found[:, None] if found.ndim == 1 else found
        if found.dtype.kind not in "biuf" or found.ndim != 2 or len(found) != len(asked.ids):
            what = f"{found.dtype} of shape {found.shape}"
            raise RunError(
                f"observe of {self!r} returned {what}; expected numbers of shape ({len(asked.ids)}, features)"
            )
        if not np.isfinite(found).all():
            agent = asked.ids[(~np.isfinite(found)).any(axis=1).argmax()]
            raise RunError(f"observe of {self!r} returned something that is not a finite number for agent {agent}")
        return found.astype(float)

    def _evaluated(self, inputs: Array, softmax: bool) -> Array:
        with evaluating(self.device) as torch:
            floating = (tensor.dtype for tensor in self.module.parameters() if tensor.dtype.is_floating_point)
            # A fresh tensor is aligned; one that shares numpy's memory need not be.
            given = torch.tensor(inputs, dtype=next(floating, torch.get_default_dtype()), device=self.device)
            outputs = self.module(given)
            if not isinstance(outputs, torch.Tensor) or outputs.ndim not in (1, 2) or len(outputs) != self.tile:
                shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
                raise RunError(f"{self!r} returned {shape}; expected a tensor ({self.tile},) or ({self.tile}, options)")
            outputs = outputs.double()
            if softmax and outputs.ndim == 2 and outputs.shape[1] > 1:
                outputs = torch.softmax(outputs, dim=1)
            found: Array = outputs.cpu().numpy()
            return found

    def _look_at_rows(self, inputs: Array, outputs: Array, row: int, softmax: bool) -> None:
        """Stop where the output of a row is another one in other company."""
        if not inputs.any():
            return
        others = np.zeros_like(inputs)
        if not inputs[np.arange(self.tile) != row].any():
            others[:] = inputs[row]
        others[row] = inputs[row]
        if not np.array_equal(self._evaluated(others, softmax)[row], outputs[row], equal_nan=True):
            raise RunError(f"{self!r}: an agent's output depends on the other rows of the tile, or is random")
        self._looked_at.add(inputs.shape[1])


def columns(asked: Asked, names: Sequence[str]) -> Array:
    """Return what agents collected or have, by name, side by side: shape (agents, numbers)."""
    found = [
        np.asarray(asked.observed[name] if name in asked.observed else getattr(asked.agents, name)) for name in names
    ]
    return np.concatenate([values.reshape(len(asked.ids), -1).astype(float) for values in found], axis=1)


def saved_weights(path: str | Path) -> Mapping[str, Any]:
    """Return the state_dict that `Learned.save` wrote; ``StoreError`` where it is not what its name says."""
    torch = library("torch", "a learned policy", "torch")
    try:
        found: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise StoreError(f"{path} does not hold weights: {type(error).__name__}: {error}") from error
    if weights_digest(found) != Path(path).stem:
        raise StoreError(f"{path} holds other weights than its name says")
    return found


def source_hash(objects: Sequence[Any]) -> str | None:
    """Return the SHA-256 of the sources of functions and classes but torch's own; None where one is not to be had."""
    texts: set[str] = set()
    for item in objects:
        if str(getattr(item, "__module__", "")).split(".")[0] == "torch":
            continue
        try:
            known = inspect.isfunction(item) or inspect.isclass(item) or inspect.ismethod(item)
            texts.add(inspect.getsource(item if known else type(item)))
        except (OSError, TypeError):
            return None
    return hashlib.sha256("\0".join(sorted(texts)).encode()).hexdigest()
