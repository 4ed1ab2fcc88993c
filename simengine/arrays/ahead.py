"""Asking for memory before it is needed: an agent whose turn comes soon, its neighbours, and theirs.

In a large graph who comes next lies anywhere, and the processor waits for memory longer than it computes. Asking
changes no value: the processor may as well do nothing.
"""

# The compiler interface of numba is untyped.
# mypy: disable-error-code="no-untyped-call, attr-defined"

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from simengine.arrays.jit import BORROWING, njit

PAYS_FROM = 100_000
"""Graphs of so many agents do not lie in the processor's caches."""
TURNS = 16
"""How many turns ahead an agent is known; a power of two."""
_FOR_READING, _TO_KEEP, _DATA = 0, 3, 1


@intrinsic
def _ask_for(typingctx: Any, array: Any, place: Any) -> Any:
    if not (isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        number = ir.IntType(32)
        address = builder.bitcast(builder.gep(view.data, [args[1]]), ir.IntType(8).as_pointer())
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [address.type, number, number, number]),
            "llvm.prefetch.p0",
        )
        builder.call(function, [address, *(ir.Constant(number, hint) for hint in (_FOR_READING, _TO_KEEP, _DATA))])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


def _nothing(array: Any, place: Any) -> None:
    pass


ask_for: Any = _nothing if config.DISABLE_JIT else _ask_for
borrowing = njit(cache=True, **BORROWING)


@borrowing
def ask_for_start(starts, seen, agent):  # type: ignore[no-untyped-def]
    """Ask where an agent's neighbours are listed."""
    ask_for(starts, agent)


@borrowing
def ask_for_neighbours(starts, seen, agent):  # type: ignore[no-untyped-def]
    """Ask who they are."""
    ask_for(seen, np.int64(starts[agent]))


@borrowing
def ask_for_their_starts(starts, seen, agent):  # type: ignore[no-untyped-def]
    """Ask where the neighbours' neighbours are listed."""
    for place in range(np.uint64(starts[agent]), np.uint64(starts[agent + 1])):
        ask_for(starts, np.int64(np.uint32(seen[place])))


@borrowing
def ask_for_their_neighbours(starts, seen, agent):  # type: ignore[no-untyped-def]
    """Ask who those are."""
    for place in range(np.uint64(starts[agent]), np.uint64(starts[agent + 1])):
        ask_for(seen, np.int64(starts[np.int64(np.uint32(seen[place]))]))
