"""Wrong input, through Python and the command line: one clear line, exit code 2, and nothing written."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import simengine
from simengine.cli import main
from simengine.errors import InputError, ScenarioError

WALKERS = """
from typing import Literal
from simengine import Scenario, field, param, population, reference, update, vector

class Walkers(Scenario):
    \"\"\"Walkers on a line.\"\"\"
    n_agents: int = param(5, low=1)
    speed: float = param(1.0, low=0, high=10)
    gait: Literal["slow", "quick"] = param("slow")
    agents = population(
        size="n_agents", place=field(), heading=vector(2, unit_length=True), happy=field(bool), friend=reference()
    )

    def start(self, agents):
        agents.heading[:] = 1.0

    @update(agents)
    def walk(me, agents, new, p):
        new.place[me] += p.speed
"""

HEAD = """
import math
from simengine import Everyone, Scenario, birth, field, gather, observable, param, population, total, update

class Broken(Scenario):
    n_agents: int = param(4)
    agents = population(size="n_agents", x=field())
    everyone = Everyone(agents)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    made.mkdir()
    return made


@pytest.fixture
def walkers(tmp_path: Path) -> Path:
    path = tmp_path / "walkers.py"
    path.write_text(WALKERS)
    return path


@pytest.fixture
def run_file(walkers: Path, tmp_path: Path) -> Path:
    path = tmp_path / "begun.nc"
    simengine.run(walkers, steps=2, snapshot_every=2, out=path).close()
    return path


def complaint(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one line that a refused command writes."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 1, printed.err
    assert "Traceback" not in printed.err
    return lines[0]


SETTINGS = [
    ({"sped": 1.0}, ["sped=1"], ["unknown parameter 'sped' of Walkers", "did you mean 'speed'?"]),
    ({"speed": "fast"}, ["speed=fast"], ["'speed' of Walkers", "got 'fast'", "float, 0 <= value <= 10"]),
    ({"speed": 11.0}, ["speed=11"], ["'speed'", "got 11", "0 <= value <= 10"]),
    ({"speed": -0.5}, ["speed=-0.5"], ["'speed'", "got -0.5", "0 <= value <= 10"]),
    ({"speed": float("nan")}, ["speed=nan"], ["'speed'", "got nan", "a finite float"]),
    ({"speed": float("inf")}, ["speed=inf"], ["'speed'", "got inf", "a finite float"]),
    ({"n_agents": 2.5}, ["n_agents=2.5"], ["'n_agents'", "2.5", "int, 1 <= value"]),
    ({"n_agents": 0}, ["n_agents=0"], ["'n_agents'", "got 0", "int, 1 <= value"]),
    ({"n_agents": 10**30}, ["n_agents=" + "1" + "0" * 30], ["'n_agents'", "a 64-bit int"]),
    ({"n_agents": 10**17}, ["n_agents=1e17"], ["n_agents = 100000000000000000", "GiB", "this machine has"]),
    ({"gait": "quik"}, ["gait=quik"], ["'gait'", "got 'quik'", "slow | quick", "did you mean 'quick'?"]),
]


@pytest.mark.parametrize(
    ("keywords", "settings", "parts"), SETTINGS, ids=[settings[0][:20] for _, settings, _ in SETTINGS]
)
def test_a_wrong_parameter_is_refused_with_what_is_allowed(keywords, settings, parts, walkers, folder, capsys):
    with pytest.raises(InputError) as refused:
        simengine.run(walkers, out=folder / "x.nc", **keywords)
    arguments = [word for setting in settings for word in ("--set", setting)]
    line = complaint(capsys, ["run", str(walkers), "--out", str(folder / "x.nc"), *arguments])
    for part in parts:
        assert part in str(refused.value)
        assert part in line
    assert not list(folder.iterdir())


OPTIONS = [
    ({"steps": -1}, ["--steps", "-1"], ["steps: got -1", "at least 0"]),
    ({"every": 0}, ["--every", "0"], ["every: got 0", "at least 1"]),
    ({"snapshot_every": 0}, ["--snapshot-every", "0"], ["snapshot_every: got 0", "at least 1"]),
    ({"seed": -1}, ["--seed", "-1"], ["seed: got -1", "at least 0"]),
    ({"seed": 2**64}, ["--seed", str(2**64)], ["seed", "at most 18446744073709551615"]),
    ({"threads": 0}, ["--threads", "0"], ["threads: got 0", "at least 1"]),
    ({"steps": 1.5}, ["--steps", "1.5"], ["steps", "1.5", "allowed is a whole number"]),
    ({"steps": "ten"}, ["--steps", "ten"], ["steps", "'ten'", "allowed is a whole number"]),
    ({"storage_order": "by_call"}, ["--storage-order", "by_call"], ["by_call", "'auto', 'by_id', 'by_cell'"]),
]


@pytest.mark.parametrize(("keywords", "words", "parts"), OPTIONS, ids=[" ".join(words)[:24] for _, words, _ in OPTIONS])
def test_a_wrong_option_of_a_run_is_refused_with_what_is_allowed(keywords, words, parts, walkers, folder, capsys):
    with pytest.raises(InputError) as refused:
        simengine.run(walkers, out=folder / "x.nc", **keywords)
    line = complaint(capsys, ["run", str(walkers), "--out", str(folder / "x.nc"), *words])
    for part in parts:
        assert part in str(refused.value)
        assert part in line
    assert not list(folder.iterdir())


def test_parameters_that_contradict_each_other_are_refused(folder, capsys):
    with pytest.raises(InputError, match=r"radius_repulsion \(5\) must .* radius_orientation \(4\)"):
        simengine.run("schooling", out=folder / "x.nc", radius_repulsion=5.0, radius_orientation=4.0)
    zones = ["--set", "radius_repulsion=5", "--set", "radius_orientation=4"]
    line = complaint(capsys, ["run", "schooling", "--out", str(folder / "x.nc"), *zones])
    assert re.search(r"radius_repulsion \(5\) must .* radius_orientation \(4\)", line)
    assert not list(folder.iterdir())


def test_a_misspelt_keyword_of_run_is_told_its_right_name(walkers):
    with pytest.raises(InputError, match="did you mean 'snapshot_every'"):
        simengine.run(walkers, snapshots_every=2)


ONES = np.ones((3, 2))
STARTS = [
    ({"place": [0.0, np.nan, 1.0]}, r"agents\.place of agent 1 is not a finite number"),
    ({"heading": [[1.0, 0.0], [0.0, 0.0]]}, r"agents\.heading of agent 1 has length 0"),
    ({"heading": np.ones((3, 3))}, r"agents\.heading has shape \(3, 3\), expected \(3, 2\)"),
    ({"heading": ONES, "place": np.ones((3, 1))}, r"agents\.place has shape \(3, 1\), expected \(3,\)"),
    ({"heading": ONES, "place": np.ones(4)}, r"different numbers of agents \(heading: 3, place: 4\)"),
    ({"place": ["a", "b"]}, r"agents\.place is not numeric"),
    ({"place": [[1.0], [1.0, 2.0]]}, r"agents\.place is no array"),
    ({"plase": [1.0]}, r"unknown field 'plase'; did you mean 'place'\?"),
    ({"agents": {"plase": [1.0]}}, r"population agents has no field 'plase'; did you mean 'place'\?"),
    ({"agents": [1.0]}, r"population 'agents' takes a dict of arrays by field"),
    ({3: [1.0]}, r"unknown field 3; fields: place"),
    ({"happy": [0, 1, 2]}, r"agents\.happy of agent 2 is 2; it holds booleans"),
    ({"friend": [1, 7]}, r"agents\.friend of agent 1 is 7, which is no id of agents"),
    ({"friend": [0.5, 1.0]}, r"agents\.friend of agent 0 is 0\.5; it holds 64-bit whole numbers"),
    (np.ones(3), r"start is a dict of arrays and graphs, a Dataset or a run file's path, not ndarray"),
]


@pytest.mark.parametrize(("start", "message"), STARTS)
def test_a_wrong_start_state_is_refused_with_its_field_and_agent(start, message, walkers, folder):
    with pytest.raises(InputError, match=message):
        simengine.run(walkers, start=start, out=folder / "x.nc")
    assert not list(folder.iterdir())


def test_a_start_file_that_is_not_there_is_refused(walkers, folder, capsys):
    with pytest.raises(InputError, match=r"start: there is no run file .*none\.nc"):
        simengine.run(walkers, start=folder / "none.nc", out=folder / "x.nc")
    start = ["--start", str(folder / "none.nc")]
    line = complaint(capsys, ["run", str(walkers), "--out", str(folder / "x.nc"), *start])
    assert re.search(r"start: there is no run file .*none\.nc", line)
    assert not list(folder.iterdir())


def test_a_start_file_of_another_kind_is_refused(walkers, folder, capsys):
    with pytest.raises(InputError, match=r"start: cannot open .*walkers\.py"):
        simengine.run(walkers, start=walkers, out=folder / "x.nc")
    line = complaint(capsys, ["run", str(walkers), "--out", str(folder / "x.nc"), "--start", str(walkers)])
    assert re.search(r"start: cannot open .*walkers\.py", line)
    assert not list(folder.iterdir())


def test_a_start_file_without_snapshots_is_refused(walkers, folder):
    simengine.run(walkers, steps=1, out=folder / "rows.nc").close()
    with pytest.raises(InputError, match="holds no snapshot of any field of Walkers; record it with snapshot_every"):
        simengine.run(walkers, start=folder / "rows.nc")


def test_an_existing_file_is_kept_unless_forced(walkers, run_file, capsys):
    before = run_file.read_bytes()
    with pytest.raises(InputError, match=r"begun\.nc: it exists; choose another name, or overwrite it"):
        simengine.run(walkers, steps=1, out=run_file)
    line = complaint(capsys, ["run", str(walkers), "--steps", "1", "--out", str(run_file)])
    assert "--force" in line
    assert run_file.read_bytes() == before
    assert main(["run", str(walkers), "--steps", "1", "--out", str(run_file), "--force"]) == 0
    assert run_file.read_bytes() != before


def test_an_unfinished_run_is_kept_unless_forced(walkers, folder, capsys):
    parts = folder / "x.nc.parts"
    parts.mkdir()
    line = complaint(capsys, ["run", str(walkers), "--steps", "1", "--out", str(folder / "x.nc")])
    assert "holds an unfinished run" in line
    assert parts.exists()
    assert main(["run", str(walkers), "--steps", "1", "--out", str(folder / "x.nc"), "--force"]) == 0
    assert not parts.exists()


def unwritable(folder: Path, walkers: Path) -> list[tuple[str, str]]:
    return [
        (str(folder / "none" / "x.nc"), "there is no folder"),
        (str(walkers / "x.nc"), "is a file, not a folder"),
        (str(folder), "it is a folder"),
        ("/proc/x.nc", "cannot write /proc/x.nc"),
        (str(folder / ("a" * 300)), "too long"),
    ]


@pytest.mark.parametrize("case", range(5))
def test_a_path_that_cannot_be_written_is_refused(case, walkers, folder, capsys):
    out, message = unwritable(folder, walkers)[case]
    with pytest.raises(InputError, match=message):
        simengine.run(walkers, steps=1, out=out)
    assert message in complaint(capsys, ["run", str(walkers), "--steps", "1", "--out", out])
    assert not list(folder.iterdir())


@pytest.mark.parametrize("out", ["", 3, "a\0b.nc"])
def test_an_out_that_is_no_path_is_refused(out, walkers):
    with pytest.raises(InputError, match="out: "):
        simengine.run(walkers, steps=1, out=out)


PHASES = [
    (
        """
    @update(agents)
    def move(me, agents, new):
        a = 1.0
        new.x[me] = a + agents.y[me]  # here
        """, r"HERE: in update move\(\): population agents has no field 'y'",
    ),
    (
        """
    @update(agents)
    def move(me, agents, new):  # here
        new.y[me] = 1.0
        """, r"HERE: in update move\(\): population agents has no field 'y'",
    ),
    (
        """
    @update(agents)
    def move(me, agents, new, p):
        new.x[me] = p.n_agnts  # here
        """, r"HERE: in update move\(\): the scenario has no parameter 'n_agnts'; did you mean 'n_agents'\?",
    ),
    (
        """
    @update(agents)
    def move(me, agents, new):
        new.x[me] = 1.0
        new.alive[me] = False  # here
        """, r"HERE: in update move\(\): .* cannot die: declare the population with capacity=",
    ),
    (
        """
    @birth(agents)  # here
    def breed(me, agents, child):
        return True
        """, r"HERE: births need a population declared with capacity=",
    ),
    (
        """
    @gather(everyone, seen=total())
    def look(me, other, agents, acc):
        acc.seen += agents.x[other]

    @update(agents, after=look)
    def move(me, agents, new, acc):
        b = acc.seen
        new.x[me] = math.sqrt(b, 2.0)  # here
        """, r"HERE: in move\(\): sqrt\(float64, float64\) is not defined for these types",
    ),
    (
        """
    @gather(everyone, seen=total())
    def look(me, other, agents, acc):
        if agents.x[other] > 0:
            acc.seen += (1.0, 2.0)  # here

    @update(agents, after=look, order="sequential")
    def move(me, agents, new, acc):
        new.x[me] = acc.seen
        """, r"HERE: in look\(\): .* is not defined for these types",
    ),
    (
        """
    @update(agents)
    def move(me, agents, new):
        new.x[me] = agents.x[me].real.nothing  # here
        """, r"HERE: in move\(\): Unknown attribute 'nothing' of type float64",
    ),
    (
        """
    @update(agents)
    def move(me, agents, new):
        if agents.x[me] > 0:
            pair = (1, 2)
        else:
            pair = 3.0
        new.x[me] = pair  # here
        """, r"HERE: in move\(\): pair is sometimes float64 and sometimes a tuple \(int, int\)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), PHASES)
def test_a_mistake_in_a_phase_names_file_line_and_reason(body, message, tmp_path, folder, capsys):
    path = tmp_path / "broken.py"
    path.write_text(HEAD + body)
    here = next(number for number, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("# here"))
    message = message.replace("HERE", rf"broken\.py:{here}")
    with pytest.raises(ScenarioError, match=message) as refused:
        simengine.run(path, out=folder / "x.nc", steps=3)
    assert "\n" not in str(refused.value)
    line = complaint(capsys, ["run", str(path), "--steps", "3", "--out", str(folder / "x.nc")])
    assert re.search(message, line)
    assert not list(folder.iterdir())


FILES = [
    ("", "defines no scenario"),
    ("x = (", r"SyntaxError: .*never closed \(line 1: x = \(\)"),
    ("import no_such_module_anywhere", r"ModuleNotFoundError: .*\(line 1: import no_such_module_anywhere\)"),
    (
        "def f():\n    return 1 / 0\n\nf()",
        r"ZeroDivisionError: division by zero \(line 4: f\(\), line 2: return 1 / 0\)",
    ),
    ("import sys\nsys.exit(3)", r"SystemExit: 3 \(line 2: sys.exit\(3\)\)"),
    ("\0", "does not import"),
    (
        WALKERS + "\nclass Others(Walkers):\n    pass\n",
        r"defines several scenarios \(Walkers, Others\); choose one as in .*:Walkers",
    ),
]


@pytest.mark.parametrize(("text", "message"), FILES)
def test_a_file_that_gives_no_scenario_says_why(text, message, tmp_path, folder, capsys):
    path = tmp_path / "model.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as refused:
        simengine.run(path, out=folder / "x.nc")
    assert "\n" not in str(refused.value)
    assert re.search(message, complaint(capsys, ["run", str(path), "--out", str(folder / "x.nc")]))
    assert re.search(message, complaint(capsys, ["describe", str(path)]))
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("schoolin", "unknown scenario 'schoolin'; did you mean 'schooling'?"),
        ("none/model.py", "no scenario file 'none/model.py'"),
        ("xyzzy", "unknown scenario 'xyzzy'; simengine list names those that are installed"),
    ],
)
def test_a_scenario_that_does_not_exist_is_refused(name, message, folder, capsys):
    with pytest.raises(InputError, match=re.escape(message)):
        simengine.run(name, out=folder / "x.nc")
    assert message in complaint(capsys, ["run", name, "--out", str(folder / "x.nc")])
    assert message in complaint(capsys, ["describe", name])
    assert not list(folder.iterdir())


def test_a_population_larger_than_its_capacity_is_refused(tmp_path):
    path = tmp_path / "crowd.py"
    path.write_text(
        textwrap.dedent(
            """
            from simengine import Scenario, field, param, population

            class Crowd(Scenario):
                n_agents: int = param(5)
                agents = population(size="n_agents", capacity=10, x=field())
            """
        )
    )
    with pytest.raises(InputError, match="n_agents = 11 agents do not fit into the capacity of 10"):
        simengine.run(path, n_agents=11)
    with pytest.raises(InputError, match="n_agents = -1 is no number of agents"):
        simengine.run(path, n_agents=-1)


WORDS = [
    (["--set", "speed"], "--set 'speed': give one parameter as NAME=VALUE"),
    (["--set", "=3"], "give one parameter as NAME=VALUE"),
    (["--set", "speed=1", "n_agents=4"], "'n_agents=4' belongs to no option: --set takes one NAME=VALUE"),
    (["--set", "speed=1,n_agents=4"], "--set takes one NAME=VALUE"),
    (["--set", "speed=1 n_agents=4"], "--set takes one NAME=VALUE"),
    (["--set", "speed=1", "--set", "speed=2"], "speed is set twice"),
    (["--set", "steps=3"], "no parameter of the scenario but an option of the run; see --steps"),
    (["more"], "unexpected argument 'more'"),
    (["--speed", "3"], "a parameter of the scenario is given as --set speed=VALUE"),
    (["--steps"], "--steps"),
]


@pytest.mark.parametrize(("words", "message"), WORDS)
def test_words_that_make_no_sense_are_explained(words, message, walkers, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert message in complaint(capsys, ["run", str(walkers), *words])
    assert not list(folder.iterdir())


def test_an_unknown_command_is_told_the_nearest(capsys):
    assert "'run'" in complaint(capsys, ["runn", "schooling"])
