import numpy as np
import pytest
import xarray

from simengine import diagnostics as d
from simengine.diagnostics.multivariate.channels import channels_of
from simengine.diagnostics.multivariate.coupling import coordination_index_of
from simengine.diagnostics.multivariate.diffusion import spectral_entropy
from simengine.diagnostics.multivariate.shared import total_correlation_of
from simengine.errors import InputError

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.normal(size=(40, 3))
LABELS = np.arange(40) % 2
NO_TABLES = {
    "ragged": [[1, 2], [3]],
    "text": "many",
    "texts": [["a", "b"]],
    "complex": np.array([[1j, 2.0]]),
    "objects": [[None, 1]],
    "dataset": xarray.Dataset({"a": ("t", [1.0])}),
    "nan": [[np.nan, 1.0]],
    "negative": [[1, -1], [2, 3]],
    "nothing": [[0, 0], [0, 0]],
}
TAKES_TABLES = {
    "coordination": lambda bad: d.coordination_index(counts=bad),
    "partial": lambda bad: d.partial_information(counts=bad),
    "partial of": d.partial_information_of,
    "total": lambda bad: d.total_correlation(counts=bad),
    "total of": total_correlation_of,
    "index of": coordination_index_of,
    "coupling": lambda bad: d.minimum_entropy_coupling(bad, [0.5, 0.5]),
}
NO_OPTION = {"array": np.ones(3), "complex": 1j, "none": None, "nan": np.nan, "huge": 1e308, "text": "", "dict": {}}
OPTIONS = {
    "estimator": lambda bad: d.total_correlation(POINTS, estimator=bad),
    "definition": lambda bad: d.partial_information(LABELS, LABELS, LABELS, definition=bad),
    "coordination": lambda bad: d.coordination_index(LABELS, LABELS, estimator=bad),
    "size": lambda bad: d.o_informations(POINTS, size=bad),
    "shuffles": lambda bad: d.effective_channels(POINTS, shuffles=bad),
    "centred": lambda bad: d.effective_channels(POINTS, centred=bad),
    "seed": lambda bad: d.effective_channels(POINTS, seed=bad),
    "t": lambda bad: d.diffusion_spectral_entropy(POINTS, t=bad),
    "sigma": lambda bad: d.diffusion_mutual_information(POINTS, LABELS, sigma=bad),
}


@pytest.mark.parametrize("what", NO_TABLES)
@pytest.mark.parametrize("where", TAKES_TABLES)
def test_what_is_no_table_is_one_clear_line(where: str, what: str) -> None:
    with pytest.raises(InputError) as raised:
        TAKES_TABLES[where](NO_TABLES[what])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("what", NO_OPTION)
@pytest.mark.parametrize("where", OPTIONS)
def test_what_is_no_option_is_one_clear_line(where: str, what: str) -> None:
    with pytest.raises(InputError) as raised:
        OPTIONS[where](NO_OPTION[what])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: d.total_correlation(POINTS, estimator="copla"), "did you mean 'copula'"),
        (lambda: d.partial_information_of(np.ones((2, 2, 2)), "borja"), "did you mean 'broja'"),
        (lambda: d.coordination_index(np.arange(9000), np.arange(9000)), "table of"),
        (lambda: d.minimum_entropy_coupling(np.ones(10**4), np.ones(10**4)), "table of"),
        (lambda: d.diffusion_spectral_entropy(POINTS, sigma=1e-200), "at least"),
        (lambda: d.o_informations(POINTS[:, :2]), "at least 3 columns"),
        (lambda: channels_of(np.eye(3), [1.0, 2.0], 5), "a sum for each component"),
        (lambda: spectral_entropy(POINTS, [1.0, 2.0]), "one a point"),
    ],
)  # fmt: skip
def test_bad_options_are_told_with_what_is_allowed(call, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("scale", [1e-200, 1e60])
def test_no_unit_of_the_variables_is_too_large_or_too_small(scale: float) -> None:
    plain = d.total_correlation(POINTS, estimator="gaussian")
    assert float(d.total_correlation(scale * POINTS, estimator="gaussian").value) == pytest.approx(float(plain.value))
    triplet = d.o_informations(POINTS, estimator="gaussian")
    found = d.o_informations(scale * POINTS, estimator="gaussian")
    np.testing.assert_allclose(found.value, triplet.value, atol=1e-12)


def test_no_number_of_steps_of_the_diffusion_is_too_large() -> None:
    many, more = (float(d.diffusion_spectral_entropy(POINTS, t=t).value) for t in (1e6, 1e60))
    assert many == pytest.approx(0.0, abs=1e-9)
    assert more == pytest.approx(0.0, abs=1e-9)


def test_labels_may_be_texts() -> None:
    words = np.array(["left", "right"], dtype=object)[LABELS]
    numbers, texts = (d.diffusion_mutual_information(POINTS, label) for label in (LABELS, words))
    assert float(numbers.value) == float(texts.value)
