"""What is recommended is what the automatic choice takes, and the reasons are the flags."""

import numpy as np
import pytest

from simengine.diagnostics.choosing import Advice, recommend
from simengine.diagnostics.flags import FLAGS
from simengine.diagnostics.information import conditional_mutual_information, entropy, mutual_information
from simengine.errors import InputError


def numbers(n=400, d=1, seed=1):
    return np.random.default_rng(seed).normal(size=(n, d))


def labels(n=400, states=3, seed=2):
    return np.random.default_rng(seed).integers(0, states, n)


def clipped(n=400, seed=3):
    return np.clip(numbers(n, 1, seed), -0.7, 0.7)


CASES = {
    "numbers": (numbers(),),
    "vectors": (numbers(d=3),),
    "labels": (labels(),),
    "two numbers": (numbers(), numbers(seed=5)),
    "many numbers": (numbers(d=4), numbers(d=4, seed=5)),
    "clipped numbers": (clipped(), clipped(seed=6)),
    "two labels": (labels(), labels(seed=7)),
    "numbers and labels": (numbers(), labels()),
    "three numbers": (numbers(), numbers(seed=5), numbers(seed=6)),
    "three labels": (labels(), labels(seed=7), labels(seed=8)),
    "numbers given labels": (numbers(), numbers(seed=5), labels(states=2)),
}
FUNCTIONS = (entropy, mutual_information, conditional_mutual_information)


def advised(case):
    x, *others = CASES[case]
    return recommend(x, *others[:1], given=others[1] if len(others) > 1 else None)


@pytest.mark.parametrize("case", CASES)
def test_the_first_is_what_the_automatic_choice_takes(case):
    found = advised(case)
    auto = FUNCTIONS[len(CASES[case]) - 1](*CASES[case])
    assert auto.method.removesuffix(" by label") == found[0].estimator == found.best.estimator
    assert auto.value == found.best.estimate.value


@pytest.mark.parametrize("case", CASES)
def test_an_estimator_is_valid_if_it_raises_no_flag_and_its_flags_are_the_reasons(case):
    function = FUNCTIONS[len(CASES[case]) - 1]
    for one in advised(case):
        if one.estimate is None:
            assert not one.valid
            assert one.why
            continue
        again = function(*CASES[case], estimator=one.estimator)
        assert again.flags == one.flags
        assert one.valid == (not again.flags)
        assert all(FLAGS[flag] in one.why for flag in one.flags)


@pytest.mark.parametrize("case", CASES)
def test_every_estimator_is_named_once_and_valid_ones_come_before_the_others(case):
    found = advised(case)
    names = [one.estimator for one in found]
    assert len(set(names)) == len(names)
    validity = [one.valid for one in found[1:]]
    assert validity == sorted(validity, reverse=True)
    assert set(found.valid) == {one.estimator for one in found if one.valid}


def test_estimators_for_another_kind_of_variable_say_what_they_need():
    by_name = {one.estimator: one for one in advised("two numbers")}
    assert "bins=" in by_name["grassberger"].why
    assert "labels" in by_name["ross"].why
    by_name = {one.estimator: one for one in advised("two labels")}
    assert by_name["ksg-1"].why == "takes numbers, not labels"
    assert by_name["grassberger"].valid


def test_few_samples_many_dimensions_and_atoms_are_reasons():
    small = recommend(numbers(30), numbers(30, seed=5))
    assert "few_samples" in next(one for one in small if one.estimator == "ksg-1").flags
    high = {one.estimator: one for one in advised("many numbers")}
    assert "high_dimension" in high["ksg-1"].flags
    assert high["gaussian"].valid
    assert "high_dimension" in high["copula"].why
    atoms = {one.estimator: one for one in advised("clipped numbers")}
    assert "atoms" in atoms["ksg-1"].flags
    assert atoms["atom-aware"].valid


def test_it_prints_as_a_table_with_the_data_in_words():
    text = repr(advised("clipped numbers"))
    first, second, *rest = text.splitlines()
    assert first.startswith("mutual_information of 400 samples of x (numbers, 4")
    assert "% on exact values" in first
    assert second.split()[:3] == ["yes", "atom-aware", second.split()[2]]
    assert "(auto)" in second
    assert not any("(auto)" in line for line in rest)
    assert "x (labels, 3 states)" in repr(advised("labels"))
    assert "far out" in repr(recommend(np.random.default_rng(1).standard_cauchy(300)))
    assert "% repeated" in repr(recommend(np.repeat(numbers(300)[:, 0], 2)))
    assert "vectors of 3" in repr(advised("vectors"))
    assert "seen once" in repr(recommend(labels(60, 50)))
    assert "constant" in repr(recommend(numbers(100), np.ones(100)))


def test_it_is_a_sequence():
    found = advised("labels")
    assert len(found) == len(list(found)) == len(found[:])
    assert isinstance(found[-1], Advice)
    assert found[0] in found


def test_large_samples_are_tried_with_some_of_their_points():
    found = recommend(numbers(6000), numbers(6000, seed=5))
    assert found.best.estimator == "ksg-1"
    assert found.best.estimate.details["local"].size == 5000


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: recommend(numbers(), given=labels()), "given= needs two variables"),
        (lambda: recommend(np.zeros((3, 40, 2))), "batch of shape (3,)"),
        (lambda: recommend(numbers(), numbers(300)), "numbers of samples differ"),
        (lambda: recommend([1.0, np.nan]), "nan"),
        (lambda: recommend("opinion"), "data="),
    ],
)
def test_wrong_input_is_named_in_one_line(call, said):
    with pytest.raises(InputError) as caught:
        call()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_numbers_kept_as_floats_are_advised_to_be_labels():
    counts = np.random.default_rng(1).poisson(50, 500)
    assert "astype(int)" in repr(recommend(counts.astype(float)))
    assert "astype(int)" not in repr(recommend(counts))
