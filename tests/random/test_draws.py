import hashlib
import os
import random
import re
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.random import draws, sampling

# The first example of a function includes its compilation.
UNTIMED = settings(deadline=None)

KEY = np.uint64(0x0123456789ABCDEF)
KEYS = st.integers(0, 2**64 - 1).map(np.uint64)
IDS = st.integers(0, 2**63 - 1)

ONE_AGENT = {
    "bits": (),
    "bits_block": (3,),
    "uniform": (),
    "uniform_block": (3,),
    "uniform_between": (-2.0, 7.5),
    "two_uniforms": (),
    "integer": (-4, 9),
    "integer_block": (-4, 9, 3),
    "two_normals": (),
    "normal": (0.5, 2.0),
    "normal_block": (0.5, 2.0, 3),
    "unit_vector_2": (),
    "unit_vector_3": (),
}
OF_A_PAIR = {
    "bits_pair": (),
    "bits_symmetric": (),
    "uniform_pair": (),
    "uniform_symmetric": (),
    "integer_pair": (-4, 9),
    "integer_symmetric": (-4, 9),
    "normal_pair": (0.5, 2.0),
    "normal_symmetric": (0.5, 2.0),
}


@pytest.mark.parametrize("name", [*ONE_AGENT, *OF_A_PAIR])
def test_compiled_draws_equal_the_plain_formula_on_whole_arrays(name):
    ids = np.array([0, 1, 2, 1000, 2**31, 2**32, 2**40 + 7, 2**63 - 1])
    others = ids[::-1].copy()
    between = () if name in ONE_AGENT else (others,)
    rest = ONE_AGENT.get(name, OF_A_PAIR.get(name))
    together = np.array(getattr(sampling, name)(KEY, ids, *between, *rest))
    for place, id in enumerate(ids):
        other = () if name in ONE_AGENT else (others[place],)
        single = np.array(getattr(draws, name)(KEY, id, *other, *rest))
        assert single.tobytes() == together[..., place].tobytes()


@numba.njit(error_model="numpy")
def fill_normals(key, ids, out):
    for i in range(ids.size):
        out[i] = draws.normal(key, ids[i], 0.5, 2.0)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 17, 33, 1000])
def test_vector_body_and_remainder_of_a_loop_give_the_same_bits(size):
    ids = np.arange(7, 7 + size)
    out = np.empty(size)
    fill_normals(KEY, ids, out)
    assert out.tobytes() == sampling.normal(KEY, ids, 0.5, 2.0).tobytes()


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there is no compiled code to read")
def test_a_loop_of_normals_calls_only_exactly_rounded_functions():
    fill_normals(KEY, np.arange(3), np.empty(3))
    code = next(iter(fill_normals.inspect_llvm().values()))
    called = set(re.findall(r"call (?:double|<\d+ x double>) @([\w.]+)\(", code))
    assert {name.removeprefix("llvm.").split(".")[0] for name in called} <= {"sqrt", "floor"}


SCRIPT = """
import hashlib, numpy as np
from simengine.random import draws
key = np.uint64(0x0123456789ABCDEF)
digest = hashlib.sha256()
for id in range(40):
    for value in (draws.bits(key, id), draws.normal(key, id, 0.5, 2.0), draws.integer(key, id, -4, 9),
                  draws.unit_vector_3(key, id), draws.uniform_symmetric(key, id, 7),
                  draws.step_key(key, id, 3), draws.weighted_index(key, id, np.array([1.0, 0.0, 2.5]))):
        digest.update(np.array(value).tobytes())
print(digest.hexdigest())
"""


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_draws_are_the_same_without_compilation_and_raise_no_warning(disabled):
    digest = hashlib.sha256()
    for id in range(40):
        for value in (
            sampling.bits(KEY, id),
            sampling.normal(KEY, id, 0.5, 2.0),
            sampling.integer(KEY, id, -4, 9),
            sampling.unit_vector_3(KEY, id),
            sampling.uniform_symmetric(KEY, id, 7),
            draws.step_key(KEY, id, 3),
            draws.weighted_index(KEY, id, np.array([1.0, 0.0, 2.5])),
        ):
            digest.update(np.array(value).tobytes())
    environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
    answer = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == digest.hexdigest()


@UNTIMED
@given(KEYS, IDS, IDS)
def test_symmetric_draws_ignore_the_order_of_the_pair(key, id, other):
    assert draws.bits_symmetric(key, id, other) == draws.bits_symmetric(key, other, id)
    assert draws.normal_symmetric(key, id, other, 0.0, 1.0) == draws.normal_symmetric(key, other, id, 0.0, 1.0)


@UNTIMED
@given(KEYS, IDS, IDS)
def test_directed_draws_heed_the_order_of_the_pair(key, id, other):
    same = draws.bits_pair(key, id, other) == draws.bits_pair(key, other, id)
    assert same == (id == other)


@UNTIMED
@given(KEYS, IDS, IDS)
def test_an_agents_own_draw_never_meets_those_of_its_pairs(key, id, other):
    assert draws.bits(key, id) != draws.bits_pair(key, id, other)


@UNTIMED
@given(KEYS, IDS, st.integers(-(2**62), 2**62 - 1), st.integers(1, 2**62))
def test_integers_stay_within_their_bounds(key, id, low, span):
    assert low <= draws.integer(key, id, low, low + span) < low + span


@UNTIMED
@given(st.integers(0, 2**64 - 1), st.integers(1, 2**63 - 1))
def test_integers_are_the_upper_half_of_an_exact_product(word, span):
    assert int(sampling.index_from_bits(np.uint64(word), 0, span)) == (word * span) >> 64


@UNTIMED
@given(KEYS, IDS)
def test_uniforms_lie_in_the_half_open_unit_interval(key, id):
    first, second = draws.two_uniforms(key, id)
    assert 0.0 <= first < 1.0
    assert 0.0 <= second < 1.0
    assert first == draws.uniform(key, id) == draws.uniform_block(key, id, 0)


def test_the_extreme_words_give_the_extreme_uniforms_and_finite_normals():
    zero, full = np.uint64(0), np.uint64(2**64 - 1)
    assert sampling.unit_from_bits(zero) == 0.0
    assert sampling.unit_from_bits(full) == 1.0 - 2.0**-53
    largest, _ = sampling.normals_from_bits(zero, zero)
    smallest, _ = sampling.normals_from_bits(full, zero)
    assert largest == pytest.approx(np.sqrt(2 * 53 * np.log(2)), rel=1e-15)
    assert smallest == 0.0


@UNTIMED
@given(KEYS, IDS)
def test_unit_vectors_have_unit_length(key, id):
    assert np.hypot(*draws.unit_vector_2(key, id)) == pytest.approx(1.0, abs=5e-16)
    assert np.linalg.norm(draws.unit_vector_3(key, id)) == pytest.approx(1.0, abs=5e-16)


@UNTIMED
@given(KEYS, IDS, st.lists(st.sampled_from([0.0, 0.0, 1.0, 1e-300, 3.5]), min_size=1, max_size=6))
def test_an_option_of_weight_zero_is_never_chosen(key, id, weights):
    weights = np.array([*weights, 1.0, 0.0])
    assert weights[draws.weighted_index(key, id, weights)] > 0.0


def test_drawing_leaves_every_global_generator_alone():
    before = random.getstate(), np.random.get_state()[1].tolist()
    fill_normals(KEY, np.arange(100), np.empty(100))
    draws.bits(KEY, 3)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_a_draw_does_not_depend_on_what_else_was_drawn():
    alone = draws.normal(KEY, 5, 0.0, 1.0)
    for id in range(10):
        draws.uniform(KEY, id)
        draws.bits_pair(KEY, 5, id)
    assert draws.normal(KEY, 5, 0.0, 1.0) == alone
