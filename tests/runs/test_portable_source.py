from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import itertools
import linecache
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import simengine
from simengine.errors import InputError
from simengine.runs import registry
from simengine.runs.literals import MOST_PARTS, Unwritable, written
from simengine.runs.portable import NotPortable, restored, standalone
from simengine.scenarios.schooling import Schooling

README = Path(__file__).parents[2] / "README.md"
NUMBERS = itertools.count()
Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import texts as modules of the user's own, beside one another."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def load_text(text: str, name: str = "") -> ModuleType:
        name = name or f"users_module_{next(NUMBERS)}"
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        specification = importlib.util.spec_from_file_location(name, path)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        made.append(name)
        specification.loader.exec_module(module)
        return module

    yield load_text
    for name in made:
        del sys.modules[name]


def again(thing: Any, name: str) -> Any:
    """What the text of a thing defines; its own text is the same."""
    text = standalone(thing)
    assert ast.parse(text)
    found = restored(text, name)
    assert standalone(found) == text
    return found


def readme_scenario(folder: Path) -> Path:
    block = re.search(r"```python\n(# bounded_confidence\.py.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    path = folder / "bounded_confidence.py"
    path.write_text(block.group(1))
    return path


def test_the_scenario_of_the_readme_gives_the_same_run(tmp_path):
    scenario = registry.load_file(readme_scenario(tmp_path))
    copy = again(scenario, "BoundedConfidence")
    assert copy is not scenario
    assert copy.__doc__ == scenario.__doc__
    options: dict[str, Any] = {"steps": 10, "seed": 4, "n_agents": 40, "snapshot_every": 5, "progress": False}
    then, now = simengine.run(scenario, **options), simengine.run(copy, **options)
    assert then.drop_attrs().identical(now.drop_attrs())
    assert float(then.disagreement[-1]) < float(then.disagreement[0])


def test_what_is_installed_is_imported_by_name():
    assert standalone(Schooling) == "from simengine.scenarios.schooling import Schooling\n"
    assert restored(standalone(Schooling), "Schooling") is Schooling
    assert restored(standalone(math.sqrt), "sqrt") is math.sqrt


EVERYTHING = '''
"""A module."""
import math
import xml.dom.minidom
from math import pi
from typing import Literal
import numpy as np
import {helpers}
from numba import njit
from numpy.typing import NDArray
from simengine import *
from {helpers} import doubled as twice

Array = NDArray[np.float64]
RULES = {{"mean": np.mean, "twice": twice}}
NO_REGIMES = Regimes(by=("mode",), table={{}})
SIZE = 3
UNUSED = object()

def plain(x):
    return x

compiled = njit(plain)
square = lambda x: x * x

@observable(unit="m")
def height(agents):
    """Mean height."""
    return float(agents.x.mean())

class Base(Scenario):
    """A base.

        Indented, with a \\\\ and a quote".
    """
    n: int = param(SIZE)
    mode: Literal["twice", "other"] = param("other")
    agents = population(size="n", x=field())
    observe = [height]

class Derived(Base):
    """Derived."""
    regimes = NO_REGIMES

    def start(self, agents: Array, draw: "Unknown"):
        agents.x[:] = compiled(twice(2.0)) + square(3) + {helpers}.raised(1) + RULES["mean"]([SIZE, pi])
        # A comment.
        assert xml.dom.minidom.Node
'''
HELPERS = """
from numba import njit

STEP = 0.5

@njit
def raised(x):
    return x + STEP

def doubled(x):
    return 2 * raised(x)
"""


def test_a_class_brings_its_bases_helpers_constants_and_imports(load):
    load(HELPERS, "helpers_of_everything")
    module = load(EVERYTHING.format(helpers="helpers_of_everything"))
    copy = again(module.Derived, "Derived")
    text = standalone(module.Derived)
    assert "helpers_of_everything" not in text
    assert "UNUSED" not in text
    assert "A comment" not in text
    assert "STEP = 0.5" in text
    assert "import xml.dom.minidom\n" in text
    assert copy.__mro__[1].__doc__ == module.Base.__doc__
    then, now = (simengine.run(cls, steps=0, snapshot_every=1, progress=False) for cls in (module.Derived, copy))
    assert then.drop_attrs().identical(now.drop_attrs())
    assert float(now.x[0, 0]) == 5 + 9 + 1.5 + (3 + math.pi) / 2


def test_names_that_a_user_imports_from_a_neighbour_under_another_name_keep_both(load):
    load("def f(x):\n    return x + 1\n", "neighbour_with_f")
    module = load("from neighbour_with_f import f as g\ndef h(x):\n    return g(x)\n")
    assert again(module.h, "h")(1) == 2
    assert "g = f\n" in standalone(module.h)


def test_functions_that_need_one_another_keep_the_order_of_the_file(load):
    module = load(
        """
def even(n): return n == 0 or odd(n - 1)
def registered(f): return f if even(0) else None
@registered
def odd(n): return n != 0 and even(n - 1)
"""
    )
    copy = again(module.odd, "odd")
    assert copy(3)
    assert not copy(4)


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_annotations_are_postponed_where_they_were(load, future):
    module = load(future + "class Later:\n    pass\ndef f(x: Later = None) -> 'Later':\n    return x\n")
    copy = again(module.f, "f")
    assert standalone(module.f).startswith("from __future__") == bool(future)
    assert isinstance(copy.__annotations__["x"], str) == bool(future)
    assert copy.__annotations__["return"] == module.f.__annotations__["return"]
    assert "class Later" in standalone(module.f)


def test_observables_jitted_functions_and_wrapped_ones_keep_their_decorators(load):
    module = load(
        """
import functools
from numba import njit
from simengine import observable
@observable(unit="m")
def spread(agents): return agents.x.std()
@njit(error_model="numpy")
def inverse(x): return 1 / x
@functools.cache
def slow(x): return x + 1
def traced(f):
    @functools.wraps(f)
    def inner(*values): return ("traced", f(*values))
    return inner
@traced
def name(): return "name"
"""
    )
    assert again(module.spread, "spread").outputs == module.spread.outputs
    assert again(module.inverse, "inverse")(0.0) == math.inf
    assert again(module.slow, "slow").cache_info().hits == 0
    assert again(module.name, "name")() == ("traced", "name")


def test_a_function_written_inside_another_is_portable_when_it_closes_over_nothing():
    def shock(sim):
        def inner(x):
            return x if x == 0 else inner(x - 1)

        return math.floor(sim) + inner(2)

    def countdown(n):
        return n if n == 0 else countdown(n - 1)

    assert again(shock, "shock")(3.5) == 3
    assert again(countdown, "countdown")(3) == 0


def make_adder(amount):
    def add(x):
        return x + amount

    return add


class Answers:
    """Answers."""

    def __call__(self, asked):
        return 0

    def answer(self, asked):
        return 0


def in_local_class():
    size = 3

    class Inside:
        """Inside."""

        x = [size]

    return Inside


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        pytest.param(lambda asked: 0, "it is a lambda", id="lambda"),
        pytest.param(make_adder(3), "it closes over the local variable 'amount'", id="closure"),
        pytest.param(in_local_class(), "it closes over the local variable 'size'", id="local class"),
        pytest.param(Answers(), "it is an Answers object, not a function or class", id="instance"),
        pytest.param(Answers().answer, "it is a method bound to an object", id="bound method"),
        pytest.param(Answers.answer, "it is a method of Answers", id="method"),
        pytest.param([].append, "it is a method bound to an object", id="builtin method"),
        pytest.param(functools.partial(print, 1), r"it is a functools\.partial", id="partial"),
        pytest.param(type("Made", (), {}), "its source is not available|has changed", id="made class"),
    ],
)
def test_what_has_no_text_of_its_own_is_refused_with_the_reason(thing, reason):
    with pytest.raises(NotPortable, match=f"^({reason})") as error:
        standalone(thing)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("class Model: pass\nmodel = Model()\ndef f(): return model", "it uses 'model', a Model object that cannot"),
        ("held = [object()]\ndef f(): return held", "it uses 'held', an object object that cannot"),
        ("def g(): return h()\nh = [iter(())]\ndef f(): return g()", "it uses 'g': it uses 'h', a tuple_iterator"),
        ("import numpy as np\nrng = np.random.default_rng()\ndef f(): return rng", "'rng', a Generator object"),
        ("n = 0\ndef f():\n    global n\n    n += 1", "it changes the global variable 'n'"),
        ("def f(): return __file__", "it uses '__file__'"),
        ("def f():\n    import alone_module\n", "it imports 'alone_module' inside a function"),
        ("import alone_module\ndef f(): return alone_module", "it uses the module 'alone_module' itself"),
        ("import alone_module\ndef f(x): return alone_module.x + x", "uses 'alone_module.x' and another 'x'"),
        ("from alone_module import g\nx = 2\ndef f(): return g() + x", "two different things .* called 'x'"),
        ("from alone_module import s\ndef f(): return s() + sum([1])", "two different things .* called 'sum'"),
        ("def outer():\n    def f(): return f\n    return f\nf = outer()", "it is|closes over"),
        ("def g(): pass\nf = lambda: g", "it is a lambda"),
        ("from numba import njit\ndef g(): pass\nf = njit(g)", "it was made by a call on 'g'"),
        ("n = 1\ndef f(x=n): return x\nn = 2", "a name that it uses means something else since"),
        ("class B: pass\nclass f(B): pass\nclass B: pass", "a name that it uses means something else since"),
        ("n = [1]\nclass f:\n    m = n\nn = [1, 2]", "a name that it uses means something else since"),
    ],
)
def test_what_a_function_uses_and_cannot_be_written_is_named(load, text, reason):
    load("x = 1\ndef g(): return x\ndef sum(y): return 0\ndef s(): return sum(1)\n", "alone_module")
    module = load(text + "\n")
    if "return f\n" in text:
        assert again(module.f, "f")() is not None
        return
    with pytest.raises(NotPortable, match=reason) as error:
        standalone(module.f)
    assert "\n" not in str(error.value)


def test_names_that_are_not_defined_stay_as_they_are(load):
    module = load("def f():\n    try:\n        return not_there\n    except NameError:\n        return 7\n")
    assert again(module.f, "f")() == 7


@pytest.mark.parametrize("edit", ["x + 2", "x + 1 if x else 0"])
def test_a_file_edited_since_it_was_loaded_is_refused(load, edit):
    module = load("class Model:\n    def f(self, x): return x + 1\ndef g(x): return x + 1\n")
    assert standalone(module.g)
    path = Path(module.__file__ or "")
    path.write_text(path.read_text().replace("x + 1", edit))
    os.utime(path, (1, 1))
    for thing in (module.g, module.Model):
        with pytest.raises(NotPortable, match="its source has changed since it was loaded"):
            standalone(thing)


def test_a_plain_value_edited_in_a_class_since_it_was_loaded_is_refused(load):
    module = load("class Model:\n    size = 3\n    def f(self): return 0\n")
    path = Path(module.__file__ or "")
    path.write_text(path.read_text().replace("3", "4"))
    os.utime(path, (1, 1))
    with pytest.raises(NotPortable, match="has changed"):
        standalone(module.Model)


DTYPES = ["float64", "float32", "int64", "bool", "complex128", "uint8"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | arrays.from_dtype(np.dtype("float32"))
    | arrays.from_dtype(np.dtype("int16"))
    | arrays.from_dtype(np.dtype("bool"))
    | arrays.arrays(
        st.sampled_from(["float64", "float32", "int64", "bool", "complex128", "uint8"]), arrays.array_shapes()
    )
)
hashed = st.integers() | st.text() | st.floats(allow_nan=False) | st.booleans()
constants = st.recursive(
    scalars,
    lambda part: (
        st.lists(part, max_size=4)
        | st.tuples(part, part)
        | st.dictionaries(hashed, part, max_size=4)
        | st.sets(hashed, max_size=4)
        | st.frozensets(hashed, max_size=4)
    ),
    max_leaves=10,
)


def shape(value: Any) -> Any:
    """A value with all that tells it from others: types, bits, order."""
    if isinstance(value, np.ndarray | np.generic):
        # Text has one not-a-number, whatever its sign and payload.
        bits = np.where(np.isnan(value), np.nan, value) if value.dtype.kind == "f" else value
        return type(value), value.dtype, value.shape, np.asarray(bits, value.dtype).tobytes()
    if isinstance(value, list | tuple):
        return type(value), [shape(part) for part in value]
    if isinstance(value, dict):
        return dict, [(shape(key), shape(held)) for key, held in value.items()]
    return type(value), (sorted(map(repr, value)) if isinstance(value, set | frozenset) else repr(value))


@given(constants)
def test_a_constant_is_written_so_that_the_same_value_is_read(value):
    names = {"np": np}

    def named(held: Any) -> str | None:
        return "np" if held is np else getattr(held, "__name__", None)

    text = written(value, named)
    read = eval(text, names)
    assert shape(read) == shape(value)
    assert written(read, named) == text


def test_constants_of_a_file_survive_with_numpy_under_its_usual_name(load):
    module = load(
        """
import enum
import numpy
class Kind(enum.Enum):
    LOW = 1
TABLE = numpy.asfortranarray([[1.5, numpy.nan], [numpy.inf, -0.0]])
HALF = numpy.float32(0.1)
NONE = numpy.empty((0, 3))
SETS = {frozenset({"a"}), ()}
KINDS = [Kind.LOW, int, ValueError]
def f(): return TABLE, HALF, NONE, SETS, KINDS
"""
    )
    table, half, none, sets, kinds = again(module.f, "f")()
    assert table.tobytes() == module.TABLE.tobytes()
    assert table.flags.f_contiguous
    assert (type(half), half) == (np.float32, module.HALF)
    assert none.shape == (0, 3)
    assert sets == module.SETS
    assert kinds[0].name == "LOW"
    assert kinds[1:] == [int, ValueError]
    assert "import numpy as np\n" in standalone(module.f)


@pytest.mark.parametrize("value", [np.zeros(MOST_PARTS + 1), [0] * MOST_PARTS, [10**5000], np.array([object()])])
def test_data_are_not_constants(value):
    with pytest.raises(Unwritable):
        written(value, lambda held: "np")


def test_a_container_within_itself_is_refused(load):
    module = load("ring = []\nring.append(ring)\ndef f(): return ring\n")
    with pytest.raises(NotPortable, match=r"'ring', a (container|value)"):
        standalone(module.f)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Run cells as a notebook's kernel does: no file, lines kept for tracebacks."""
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(linecache, "cache", dict(linecache.cache))

    def run_cell(text: str, *, history: bool = False) -> dict[str, Any]:
        name = f"/tmp/ipykernel_77/{abs(hash(text))}.py"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        if history:
            vars(main).setdefault("In", [""]).append(text)
        exec(compile(text, name, "exec", dont_inherit=True), vars(main))
        return vars(main)

    return run_cell


CELLS = (
    "import numpy as np\nfrom simengine import Scenario, field, observable, param, population, update\n",
    "RATE = 0.5\ndef faded(x):\n    return x * RATE\n",
    "@observable\ndef mean(agents):\n    return agents.x.mean()\n",
    """class Fading(Scenario):
    agents = population(size=4, x=field())
    observe = [mean]

    def start(self, agents):
        agents.x[:] = np.arange(4)

    @update(agents)
    def fade(me, agents, new):
        new.x[me] = faded(agents.x[me])
""",
    "class Later(Fading):\n    rate: float = param(0.25)\n",
)


def test_scenarios_of_notebook_cells_are_portable(notebook):
    for cell in CELLS:
        names = notebook(cell)
    copy = again(names["Later"], "Later")
    found = simengine.run(copy, steps=2, progress=False)
    assert found["mean"].values.tolist() == [1.5, 0.75, 0.375]


def test_a_scenario_of_notebook_cells_runs_where_it_is_defined(notebook):
    for cell in CELLS:
        names = notebook(cell)
    found = simengine.run(names["Later"], steps=2, progress=False)
    assert found["mean"].values.tolist() == [1.5, 0.75, 0.375]
    assert "Fading" in found.attrs["scenario_source"]


def test_a_cell_run_again_with_another_constant_is_seen(notebook):
    for cell in CELLS:
        names = notebook(cell)
    notebook(CELLS[1].replace("0.5", "0.25"))
    assert "RATE = 0.25" in standalone(names["Fading"])


def test_a_base_class_defined_again_is_refused(notebook):
    for cell in CELLS:
        names = notebook(cell)
    notebook(CELLS[3].replace("size=4", "size=5"))
    with pytest.raises(NotPortable, match="means something else since it was defined"):
        standalone(names["Later"])
    notebook(CELLS[2])
    with pytest.raises(NotPortable, match="means something else since it was defined"):
        standalone(names["Fading"])


@pytest.mark.parametrize("history", [False, True])
def test_a_class_without_functions_defined_in_two_cells_is_told_by_the_history(notebook, history):
    first, second = "class P:\n    x = list('a')\n", "class P:\n    x = list('b')\n"
    for cell in (first, second, first):
        names = notebook(cell, history=history)
    if history:
        assert again(names["P"], "P").x == ["a"]
    else:
        with pytest.raises(NotPortable, match="there are several classes 'P'"):
            standalone(names["P"])


SCRIPT = """
import sys
from beside import LEVEL, lifted
from simengine import Scenario, field, population
from simengine.runs.portable import standalone

class Raised(Scenario):
    agents = population(size=2, x=field())

    def start(self, agents):
        agents.x[:] = lifted(LEVEL)

def shock(sim):
    return lifted(1)

if __name__ == "__main__":
    sys.stdout.write(standalone(Raised) if sys.argv[1:] == ["class"] else standalone(shock))
"""


def test_a_script_writes_what_another_process_runs(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text("LEVEL = 3\ndef lifted(x):\n    return x + 1\n")

    def text(*arguments: str) -> str:
        command = [sys.executable, str(tmp_path / "script.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout

    raised = restored(text("class"), "Raised")
    found = simengine.run(raised, steps=0, snapshot_every=1, progress=False)
    assert found.x.values.tolist() == [[4.0, 4.0]]
    assert standalone(raised) == text("class")
    assert restored(text(), "shock")(None) == 2


def test_a_command_line_program_has_no_source():
    program = "from simengine.runs.portable import standalone\ndef f(): pass\ntry:\n    standalone(f)\n"
    program += "except Exception as error:\n    print(type(error).__name__, error)\n"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "NotPortable its source is not available\n"


def test_what_is_restored_has_a_file_and_is_made_once(kernel_cache):
    text = "def f():\n    return 12321\n"
    found = restored(text, "f")
    assert restored(text, "f") is found
    assert inspect.getsource(found) == text
    assert found.__module__.startswith(registry.FILE_MODULE)
    assert Path(inspect.getsourcefile(found) or "").parent == kernel_cache / "recorded"


def test_a_damaged_file_in_the_cache_is_replaced(kernel_cache):
    text = f"def f():\n    return {next(NUMBERS)} + 1000\n"
    path = Path(inspect.getsourcefile(restored(text, "f")) or "")
    del sys.modules[restored(text, "f").__module__]
    path.write_text("def f(): pass\n")
    assert inspect.getsource(restored(text, "f")) == text


def test_source_is_kept_in_memory_where_no_file_can_be_written(monkeypatch, tmp_path):
    (tmp_path / "recorded").write_text("in the way")
    monkeypatch.setenv("SIMENGINE_CACHE_DIR", str(tmp_path))
    text = "class Kept:\n\n    def f(self):\n        return 'in memory'\n"
    found = restored(text, "Kept")
    assert inspect.getsource(found) == text
    assert standalone(found) == text
    del sys.modules[found.__module__]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:", "the recorded source of f does not run: SyntaxError"),
        ("f = 1 / 0", "the recorded source of f does not run: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "does not run: SystemExit: 3"),
        ("import no_such_module_anywhere", "does not run: ModuleNotFoundError"),
        ("def ff(): pass", "the recorded source defines no 'f'; did you mean 'ff'"),
        ("from simengine import Scenario\nclass f(Scenario): pass", "does not run: ScenarioError: f declares no"),
        ("f = '\ud800'", "does not run: UnicodeEncodeError"),
    ],
)
def test_a_text_that_does_not_run_is_refused_in_one_line(text, reason):
    before = set(sys.modules)
    with pytest.raises(InputError, match=reason) as error:
        restored(text, "f")
    assert "\n" not in str(error.value)
    assert not [name for name in set(sys.modules) - before if "recorded" in name and "does not run" in str(error.value)]


def test_a_policy_given_as_a_function_answers_as_before(load):
    module = load("import numpy as np\nLEVEL = 2\ndef answer(asked):\n    return np.minimum(asked.rule, LEVEL)\n")
    asked = SimpleNamespace(rule=np.array([1, 5]))
    assert again(module.answer, "answer")(asked).tolist() == [1, 2]
