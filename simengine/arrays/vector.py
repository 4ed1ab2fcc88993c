"""Eight float64 lanes as one number in compiled code: explicit vectors, the same bits on every processor.

A :class:`Lanes` value is eight float64 in one register (LLVM ``<8 x double>``); a mask is eight booleans, an
index eight int32. Arithmetic, comparisons and ``select`` act lane by lane; a float meeting lanes is repeated
in all of them. A processor without 512-bit registers executes the same operations in smaller pieces. Nothing
is reordered or fused, so each lane holds what scalar float64 arithmetic gives.

Without compilation (``NUMBA_DISABLE_JIT=1``) the same functions work on numpy arrays of eight values, so code
written with them runs unchanged and gives the same bits.

Not a general vector library: only what the engine's neighbour loops need.
"""

# The compiler interface of numba, by which lanes are declared, is untyped.
# mypy: disable-error-code="no-untyped-call, attr-defined"

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from simengine.arrays.plain_lanes import PLAIN
from simengine.arrays.plain_lanes import WIDTH as WIDTH

_DOUBLE = ir.DoubleType()
_I1 = ir.IntType(1)
_I8 = ir.IntType(8)
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)
_BITS = ir.VectorType(_I1, WIDTH)
_INDEX = ir.VectorType(_I32, WIDTH)
_IOTA = ir.Constant(_INDEX, list(range(WIDTH)))


class Lanes(types.Type):
    """Numba type of eight float64 lanes; a real number turns into it by repetition."""

    def __init__(self) -> None:
        super().__init__(name="float64x8")

    def can_convert_from(self, typingctx: Any, other: types.Type) -> Any:
        """Accept any real number, repeated in all lanes."""
        return Conversion.safe if isinstance(other, types.Number) else None

    def unify(self, typingctx: Any, other: types.Type) -> types.Type | None:
        """Let a variable hold a number on one path and lanes on another."""
        return self if isinstance(other, types.Number) else None


class Mask(types.Type):
    """Numba type of eight booleans; a boolean turns into it by repetition."""

    def __init__(self) -> None:
        super().__init__(name="mask8")

    def can_convert_from(self, typingctx: Any, other: types.Type) -> Any:
        """Accept a boolean, repeated in all lanes."""
        return Conversion.safe if isinstance(other, types.Boolean) else None

    def unify(self, typingctx: Any, other: types.Type) -> types.Type | None:
        """Let a variable hold a boolean on one path and a mask on another."""
        return self if isinstance(other, types.Boolean) else None


class Index(types.Type):
    """Numba type of eight int32, used as places in a row of an array."""

    def __init__(self) -> None:
        super().__init__(name="int32x8")


lanes = Lanes()
mask = Mask()
index = Index()

for _type, _llvm in ((Lanes, _VECTOR), (Mask, _BITS), (Index, _INDEX)):

    @register_model(_type)
    class _Model(models.PrimitiveModel):
        _value = _llvm

        def __init__(self, dmm: Any, fe_type: types.Type) -> None:
            super().__init__(dmm, fe_type, self._value)


def _repeat(builder: Any, value: Any, vector: Any) -> Any:
    """Return ``vector`` with ``value`` in every lane."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_I32, 0))
    zeros = ir.Constant(ir.VectorType(_I32, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


@lower_cast(types.Number, Lanes)
def _number_to_lanes(context: Any, builder: Any, fromty: Any, toty: Any, value: Any) -> Any:
    return _repeat(builder, context.cast(builder, value, fromty, types.float64), _VECTOR)


@lower_cast(types.Boolean, Mask)
def _boolean_to_mask(context: Any, builder: Any, fromty: Any, toty: Any, value: Any) -> Any:
    return _repeat(builder, context.cast(builder, value, fromty, types.boolean), _BITS)


def _declare_operator(
    function: Any,
    argument: types.Type,
    scalar: type,
    result: types.Type,
    emit: Callable[..., Any],
    arity: int = 2,
) -> None:
    """Give ``function`` a meaning for ``arity`` arguments of type ``argument``, scalars being repeated."""

    @infer_global(function)
    class _Template(AbstractTemplate):
        def generic(self, args: tuple[types.Type, ...], kws: Any) -> Any:
            if len(args) != arity or kws or argument not in args:
                return None
            if all(arg is argument or isinstance(arg, scalar) for arg in args):
                return signature(result, *([argument] * arity))
            return None

    @lower_builtin(function, *([type(argument)] * arity))
    def _lower(context: Any, builder: Any, sig: Any, args: tuple[Any, ...]) -> Any:
        return emit(builder, *args)


def _ordered(comparison: str) -> Callable[..., Any]:
    def emit(builder: Any, left: Any, right: Any) -> Any:
        return builder.fcmp_ordered(comparison, left, right)

    return emit


def _square_root(builder: Any, value: Any) -> Any:
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.sqrt.v8f64")
    return builder.call(function, [value])


def _magnitude(builder: Any, value: Any) -> Any:
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.fabs.v8f64")
    return builder.call(function, [value])


_function: Any
for _function, _emit in (
    (operator.add, lambda builder, a, b: builder.fadd(a, b)),
    (operator.sub, lambda builder, a, b: builder.fsub(a, b)),
    (operator.mul, lambda builder, a, b: builder.fmul(a, b)),
    (operator.truediv, lambda builder, a, b: builder.fdiv(a, b)),
):
    _declare_operator(_function, lanes, types.Number, lanes, _emit)
for _function, _name in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _declare_operator(_function, lanes, types.Number, mask, _ordered(_name))
_declare_operator(operator.ne, lanes, types.Number, mask, lambda builder, a, b: builder.fcmp_unordered("!=", a, b))
_declare_operator(operator.neg, lanes, types.Number, lanes, lambda builder, a: builder.fneg(a), arity=1)
_declare_operator(operator.pos, lanes, types.Number, lanes, lambda builder, a: a, arity=1)
_declare_operator(abs, lanes, types.Number, lanes, _magnitude, arity=1)
for _function in (math.sqrt, np.sqrt):
    _declare_operator(_function, lanes, types.Number, lanes, _square_root, arity=1)
for _function, _emit in (
    (operator.and_, lambda builder, a, b: builder.and_(a, b)),
    (operator.or_, lambda builder, a, b: builder.or_(a, b)),
    (operator.xor, lambda builder, a, b: builder.xor(a, b)),
):
    _declare_operator(_function, mask, types.Boolean, mask, _emit)
_declare_operator(operator.invert, mask, types.Boolean, mask, lambda builder, a: builder.not_(a), arity=1)


def _place(context: Any, builder: Any, array_type: Any, array: Any, row: Any, column: Any) -> Any:
    """Return the address of element (row, column) of a C-contiguous 2-D array, indices never negative."""
    view = context.make_array(array_type)(context, builder, array)
    stride = builder.extract_value(view.shape, 1)
    offset = builder.add(builder.mul(row, stride), column)
    return builder.gep(view.data, [offset])


def _is_table(table: types.Type) -> bool:
    return isinstance(table, types.Array) and table.ndim == 2 and table.layout == "C" and table.dtype == types.float64


def _is_places(array: types.Type) -> bool:
    return isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.int32


@intrinsic
def _load(typingctx: Any, table: Any, row: Any, column: Any) -> Any:
    if not _is_table(table):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _place(context, builder, table, *args)
        return builder.load(builder.bitcast(address, _VECTOR.as_pointer()), align=8, typ=_VECTOR)

    return lanes(table, types.intp, types.intp), codegen


@intrinsic
def _store(typingctx: Any, table: Any, row: Any, column: Any, value: Any) -> Any:
    if not _is_table(table):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _place(context, builder, table, *args[:3])
        builder.store(args[3], builder.bitcast(address, _VECTOR.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(table, types.intp, types.intp, lanes), codegen


@intrinsic
def _load_places(typingctx: Any, array: Any, start: Any) -> Any:
    if not _is_places(array):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        address = builder.bitcast(builder.gep(view.data, [args[1]]), _INDEX.as_pointer())
        return builder.load(address, align=4, typ=_INDEX)

    return index(array, types.intp), codegen


@intrinsic
def _store_places(typingctx: Any, array: Any, start: Any, places: Any) -> Any:
    if not _is_places(array):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        address = builder.bitcast(builder.gep(view.data, [args[1]]), _INDEX.as_pointer())
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, index), codegen


@intrinsic
def _pick(typingctx: Any, table: Any, row: Any, places: Any) -> Any:
    if not _is_table(table):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        base = _place(context, builder, table, args[0], args[1], ir.Constant(_I64, 0))
        addresses = builder.gep(base, [args[2]], source_etype=_DOUBLE)
        addresses.type = ir.VectorType(ir.PointerType(), WIDTH)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_VECTOR, [addresses.type, _I32, _BITS, _VECTOR]),
            "llvm.masked.gather.v8f64.v8p0",
        )
        everywhere = ir.Constant(_BITS, [1] * WIDTH)
        nothing = ir.Constant(_VECTOR, [0.0] * WIDTH)
        return builder.call(function, [addresses, ir.Constant(_I32, 8), everywhere, nothing])

    return lanes(table, types.intp, index), codegen


@intrinsic
def _count_from(typingctx: Any, first: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.add(_repeat(builder, builder.trunc(args[0], _I32), _INDEX), _IOTA)

    return index(types.intp), codegen


@intrinsic
def _differs(typingctx: Any, places: Any, place: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.icmp_signed("!=", args[0], _repeat(builder, builder.trunc(args[1], _I32), _INDEX))

    return mask(index, types.intp), codegen


@intrinsic
def _first(typingctx: Any, number: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.icmp_signed(">", _repeat(builder, builder.trunc(args[0], _I32), _INDEX), _IOTA)

    return mask(types.intp), codegen


@intrinsic
def _keep(typingctx: Any, array: Any, end: Any, places: Any, where: Any) -> Any:
    if not _is_places(array):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        compress = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_INDEX, [_INDEX, _BITS, _INDEX]),
            "llvm.experimental.vector.compress.v8i32",
        )
        packed = builder.call(compress, [args[2], args[3], ir.Constant(_INDEX, ir.Undefined)])
        address = builder.bitcast(builder.gep(view.data, [args[1]]), _INDEX.as_pointer())
        builder.store(packed, address, align=4)
        found = builder.zext(builder.ctpop(builder.bitcast(args[3], _I8)), _I64)
        return builder.add(args[1], found)

    return types.intp(array, types.intp, index, mask), codegen


@intrinsic
def _select(typingctx: Any, where: Any, chosen: Any, otherwise: Any) -> Any:
    wide = where is mask or lanes in (chosen, otherwise)
    argument: types.Type = lanes if wide else types.float64
    condition: types.Type = mask if wide else types.boolean

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return argument(condition, argument, argument), codegen


@intrinsic
def _repeated(typingctx: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0]

    return lanes(lanes), codegen


@intrinsic
def _total(typingctx: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        part = args[0]
        width = WIDTH
        while width > 1:
            width //= 2
            numbers = ir.VectorType(_I32, width)
            low = builder.shuffle_vector(part, part, ir.Constant(numbers, list(range(width))))
            high = builder.shuffle_vector(part, part, ir.Constant(numbers, list(range(width, 2 * width))))
            part = builder.fadd(low, high)
        return builder.extract_element(part, ir.Constant(_I32, 0))

    return types.float64(lanes), codegen


@intrinsic
def _root_and_inverse(typingctx: Any, x: Any) -> Any:
    if x is not lanes:
        return None
    result = types.UniTuple(lanes, 2)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        root = _square_root(builder, args[0])
        inverse = builder.fdiv(ir.Constant(_VECTOR, [1.0] * WIDTH), root)
        return context.make_tuple(builder, result, (root, inverse))

    return result(lanes), codegen


@intrinsic
def _lane(typingctx: Any, value: Any, number: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.extract_element(args[0], args[1])

    return types.float64(lanes, types.intp), codegen


def _either(name: str, compiled: Any) -> Any:
    return PLAIN[name] if config.DISABLE_JIT else compiled


load = _either("load", _load)
"""``load(table, row, column)``: lanes from eight consecutive values of a row of a (rows, n) float64 table."""

store = _either("store", _store)
"""``store(table, row, column, value)``: lanes to eight consecutive values of a row."""

load_places = _either("load_places", _load_places)
"""``load_places(array, start)``: eight consecutive entries of an int32 array as an index."""

store_places = _either("store_places", _store_places)
"""``store_places(array, start, places)``: an index to eight consecutive entries of an int32 array."""

pick = _either("pick", _pick)
"""``pick(table, row, places)``: lanes from the columns named by an index."""

count_from = _either("count_from", _count_from)
"""``count_from(first)``: the index first, first + 1, ..., first + 7."""

differs = _either("differs", _differs)
"""``differs(places, place)``: mask of the lanes of an index that are not ``place``."""

first = _either("first", _first)
"""``first(number)``: mask of the lanes below ``number``."""

keep = _either("keep", _keep)
"""``keep(array, end, places, where)``: append the masked entries of an index to ``array`` from ``end`` on and
return the new end; the up to eight entries after it are overwritten with arbitrary values."""

select = _either("select", _select)
"""``select(where, chosen, otherwise)``: lane by lane choice; also of plain floats by a plain boolean."""

repeated = _either("repeated", _repeated)
"""``repeated(number)``: lanes that all hold ``number``."""

total = _either("total", _total)
"""``total(value)``: the sum of the lanes in a fixed order, halves added until one is left:
``((v0 + v4) + (v2 + v6)) + ((v1 + v5) + (v3 + v7))``."""

lane = _either("lane", _lane)
"""``lane(value, number)``: one lane as a float."""

root_and_inverse = _either("root_and_inverse", _root_and_inverse)
"""``root_and_inverse(x)``: the square root of lanes that are zero or normal numbers, and one divided by it."""
