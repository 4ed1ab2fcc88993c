"""The draws of one agent, compiled: what a step calls.

Each is the formula of the same name in :mod:`~simengine.random.sampling`, whose docstring tells its
arguments and range; all but ``weighted_index`` are straight-line arithmetic that is inlined into the
calling loop and vectorised with it. Without compilation (``NUMBA_DISABLE_JIT=1``) they are those formulas,
with the same results.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba.extending import overload, register_jitable

from simengine.arrays.jit import njit
from simengine.random import elementary, philox, sampling

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "forceinline": True}


@overload(elementary.square_root, jit_options={"forceinline": True})
def _square_root(x):  # type: ignore[no-untyped-def]
    # numpy's root of a scalar is a call to the C library, which keeps loops from being vectorised;
    # this one is an instruction.
    return lambda x: math.sqrt(x)


for _building_block in (
    philox.philox4x32,
    philox.block,
    elementary._rotate,
    elementary._two_sum,
    elementary.log_unit,
    elementary.sincos_turn,
    sampling.agent_block,
    sampling.pair_block,
    sampling.symmetric_block,
    sampling.unit_from_bits,
    sampling.index_from_bits,
    sampling.normals_from_bits,
    sampling.uniform,
    sampling.two_uniforms,
    sampling.normal_block,
):
    register_jitable(**_OPTIONS)(_building_block)


def _compiled(formula: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = njit(cache=True, **_OPTIONS)(formula)
    return compiled


philox4x32 = _compiled(philox.philox4x32)
block = _compiled(philox.block)
step_key = _compiled(philox.step_key)

log_unit = _compiled(elementary.log_unit)
sincos = _compiled(elementary.sincos)
sincos_turn = _compiled(elementary.sincos_turn)

bits = _compiled(sampling.bits)
bits_block = _compiled(sampling.bits_block)
bits_pair = _compiled(sampling.bits_pair)
bits_symmetric = _compiled(sampling.bits_symmetric)
uniform = _compiled(sampling.uniform)
uniform_block = _compiled(sampling.uniform_block)
uniform_between = _compiled(sampling.uniform_between)
uniform_pair = _compiled(sampling.uniform_pair)
uniform_symmetric = _compiled(sampling.uniform_symmetric)
two_uniforms = _compiled(sampling.two_uniforms)
integer = _compiled(sampling.integer)
integer_block = _compiled(sampling.integer_block)
integer_pair = _compiled(sampling.integer_pair)
integer_symmetric = _compiled(sampling.integer_symmetric)
two_normals = _compiled(sampling.two_normals)
normal = _compiled(sampling.normal)
normal_block = _compiled(sampling.normal_block)
normal_pair = _compiled(sampling.normal_pair)
normal_symmetric = _compiled(sampling.normal_symmetric)
unit_vector_2 = _compiled(sampling.unit_vector_2)
unit_vector_3 = _compiled(sampling.unit_vector_3)


@njit(cache=True, **_OPTIONS)
def weighted_index(key: Any, id: Any, weights: Any) -> Any:
    """Return an index into ``weights`` (1-D, non-negative, not all zero), drawn in proportion to them.

    The weights are added in order and an index of weight zero is never returned. Costs two passes over them.
    """
    total = 0.0
    for weight in weights:
        total += weight
    target = uniform(key, id) * total
    reached = 0.0
    chosen = 0
    for index in range(weights.size):
        if weights[index] > 0.0:
            chosen = index
            reached += weights[index]
            if target < reached:
                break
    return chosen
