import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.random import draws, philox

# The first example of a function includes its compilation.
UNTIMED = settings(deadline=None)

RECORDED_STREAM = 3005688468424190682
RECORDED_STEP = 7530459953265819955
RECORDED_BITS = 16044613701446460423

WORDS = st.integers(0, 2**32 - 1)
ZEROS = ([0] * 6, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
ONES = ([0xFFFFFFFF] * 6, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD])
PI = (
    [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0],
    [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
)


def reference(words):
    """Philox4x32-10 in whole numbers, from the paper's description."""
    x0, x1, x2, x3, k0, k1 = words
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x0, 0xCD9E8D57 * x2
        x0, x1, x2, x3 = (p1 >> 32) ^ x1 ^ k0, p1 % 2**32, (p0 >> 32) ^ x3 ^ k1, p0 % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [x0, x1, x2, x3]


@pytest.mark.parametrize("function", [philox.philox4x32, draws.philox4x32], ids=["plain", "compiled"])
@pytest.mark.parametrize(("words", "answer"), [ZEROS, ONES, PI], ids=["zeros", "ones", "pi"])
def test_the_known_answers_of_random123_are_met(function, words, answer):
    assert [int(word) for word in function(*map(np.uint64, words))] == answer


@UNTIMED
@given(st.lists(WORDS, min_size=6, max_size=6))
def test_plain_compiled_and_whole_number_philox_agree(words):
    expected = reference(words)
    scalars = [np.uint64(word) for word in words]
    assert [int(word) for word in philox.philox4x32(*scalars)] == expected
    assert [int(word) for word in draws.philox4x32(*scalars)] == expected


def test_philox_of_arrays_equals_philox_of_each_element():
    generator = np.random.default_rng(3)
    words = generator.integers(0, 2**32, size=(6, 200), dtype=np.uint64)
    together = np.array(philox.philox4x32(*words))
    for column in range(words.shape[1]):
        assert together[:, column].tolist() == reference(words[:, column].tolist())


@UNTIMED
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_block_cuts_its_words_lower_half_first(key, low, high):
    halves = [word for number in (low, high, key) for word in (number % 2**32, number >> 32)]
    x0, x1, x2, x3 = reference(halves)
    answer = tuple(int(word) for word in philox.block(np.uint64(key), np.uint64(low), np.uint64(high)))
    assert answer == (x0 + 2**32 * x1, x2 + 2**32 * x3)


def test_the_key_schedule_is_the_recorded_one():
    stream = philox.stream_key(1, "agents", "move", "signal")
    assert int(stream) == RECORDED_STREAM
    assert int(philox.step_key(stream, 12, 3)) == RECORDED_STEP
    assert int(draws.step_key(stream, 12, 3)) == RECORDED_STEP
    assert int(draws.bits(np.uint64(RECORDED_STEP), 77)) == RECORDED_BITS


def test_names_that_run_together_have_different_keys():
    keys = {
        int(philox.stream_key(*naming))
        for naming in [
            (1, "ab", "c", "d"),
            (1, "a", "bc", "d"),
            (1, "a", "b", "cd"),
            (1, "", "abc", "d"),
            (11, "ab", "c", "d"),
            (-1, "ab", "c", "d"),
            (1, "ab", "c", "D"),
            (1, "c", "ab", "d"),
        ]
    }
    assert len(keys) == 8


def test_any_whole_number_is_a_seed_and_nothing_else_is():
    assert philox.stream_key(2**200, "a", "b", "c") != philox.stream_key(0, "a", "b", "c")
    assert philox.stream_key(np.int64(5), "a", "b", "c") == philox.stream_key(5, "a", "b", "c")
    with pytest.raises(TypeError):
        philox.stream_key(1.0, "a", "b", "c")


def test_steps_and_events_far_apart_have_different_keys():
    stream = philox.stream_key(1, "agents", "move", "signal")
    places = [0, 1, 2**31, 2**32, 2**32 + 1, 2**62]
    keys = {int(philox.step_key(stream, step, event)) for step in places for event in places}
    assert len(keys) == len(places) ** 2
