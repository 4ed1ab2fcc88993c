"""What the shell offers when the Tab key is pressed.

Scenario files are read, never run: names and values are found in their text. Whatever goes wrong, nothing is offered
and nothing is printed.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

GROUP = "simengine.scenarios"
"""The entry points of scenarios, as in `simengine.runs.registry`, which takes longer to import."""

SCENARIOS = "simengine.scenarios."
"""Modules whose classes others may derive from."""

VARIABLE = "_SIMENGINE_COMPLETE"
"""The environment variable that asks for completions."""

BASH = "complete_bash"
SEPARATORS = ("=", ":")
"""Where bash cuts words, besides at blanks."""

RECORD_SUFFIX = ".calls"
"""What follows a run file's name in that of its record of calls, as in `simengine.policies.reports`."""

SWITCHES = ("true", "false")

Offer = list[tuple[str, str]]
"""Words and their explanations."""


def _quiet(find: Callable[[typer.Context, str], Iterator[tuple[str, str]]]) -> Callable[[typer.Context, str], Offer]:
    """Offer what ``find`` gives that begins with the incomplete word; nothing when it fails."""

    def offer(ctx: typer.Context, incomplete: str) -> Offer:
        try:
            return [found for found in find(ctx, incomplete) if found[0].startswith(incomplete)]
        except Exception:
            return []

    offer.__doc__ = find.__doc__
    return offer


def left_to_the_shell(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer nothing, for which the shell offers files."""
    return []


@_quiet
def scenarios(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer installed scenarios, scenario files of the folder, and the classes of a file."""
    if ".py:" in incomplete:
        file = incomplete.rpartition(":")[0]
        yield from ((f"{file}:{name}", _summary(node)) for name, node in _classes(_parsed(Path(file))).items())
        return
    if os.sep in incomplete:
        return
    for name in installed():
        yield name, ""
    for path in sorted(Path().glob("*.py")):
        if not path.name.startswith("test_") and any(_classes(_parsed(path)).values()):
            yield path.name, ""


@_quiet
def settings(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer parameters of the scenario; their values, or the default, when only one is left."""
    known = _recorded(Path(_named(ctx, "path"))) if ctx.info_name == "branch" else _parameters(_scenario(ctx))
    matching = [name for name in known if f"{name}=".startswith(incomplete) or incomplete.startswith(f"{name}=")]
    for name in matching:
        values, description = known[name]
        if "=" not in incomplete:
            yield f"{name}=", description
        if len(matching) == 1:
            # More than one word on offer also keeps the shell from going on behind the equals sign with a blank.
            yield from ((f"{name}={value}", description) for value in values)


@_quiet
def interventions(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer parameters of the scenario after STEP:, and values as `settings` does."""
    head = re.match(r"\d+:(?:[^,]*,)*", incomplete)
    if head:
        yield from ((head[0] + word, text) for word, text in settings(ctx, incomplete[head.end() :]))


@_quiet
def unfinished_runs(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer the runs that left segments behind, and the sweeps that are not compacted."""
    folder = Path(os.path.dirname(incomplete))
    for parts in sorted(folder.glob("*.parts")):
        yield str(folder / parts.name.removesuffix(".parts")), "unfinished"
    for held, finished in _sweeps(folder):
        if not finished:
            yield str(held), "unfinished"


@_quiet
def sweeps(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer the folders of sweeps."""
    for held, finished in _sweeps(Path(os.path.dirname(incomplete))):
        yield str(held), "" if finished else "unfinished"


@_quiet
def decisions(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer the decisions of the scenario, each to be answered by a language model."""
    node, classes, _ = _chosen(_scenario(ctx))
    yield from {f"{population}.{name}=language": text for name, population, text in _decided(node, classes)}.items()


@_quiet
def backends(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer the kinds of backend."""
    from simengine.cli.language_options import BACKENDS

    yield from ((name, "") for name in BACKENDS)


@_quiet
def elicitations(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer the ways of asking."""
    from simengine.cli.language_options import ELICITATIONS

    yield from ((name, "") for name in ELICITATIONS)


@_quiet
def schemas(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer the ways of asking for a schema."""
    from simengine.cli.language_options import SCHEMAS

    yield from ((name, "") for name in SCHEMAS)


@_quiet
def recorded_decisions(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer the decisions whose calls lie beside a run's file."""
    import sqlite3
    from contextlib import closing

    path = Path(_named(ctx, "path"))
    path = path if path.name.endswith(RECORD_SUFFIX) else path.with_name(path.name + RECORD_SUFFIX)
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as record:
        for label, count in record.execute("SELECT label, count(*) FROM answers GROUP BY label ORDER BY label"):
            yield label, f"{count} calls"


def _sweeps(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Give the folders of sweeps in a folder, and whether each has an index, as finished ones have."""
    for said in sorted(folder.glob("*/sweep.json")):
        yield said.parent, (said.parent / "index.json").exists()


# -- bash ----------------------------------------------------------------------------------------------------------


def bash_words() -> str:
    """Put the words of the command line together again that bash has cut at ``=`` and ``:``.

    Returns
    -------
    str
        What bash takes to be done already of the word to complete: it wants only the rest.
    """
    text, position = os.environ["COMP_WORDS"], int(os.environ["COMP_CWORD"])
    words = text.split("\n" if "\n" in text else " ")
    words += [""] * (position + 1 - len(words))
    command, *cut = words[: position + 1]
    joined, done, glued = [command], "", False
    for word in cut:
        separator = word in SEPARATORS
        if separator or glued:
            done = joined[-1] + (word if separator else "")
            joined[-1] += word
        else:
            done = ""
            joined.append(word)
        glued = separator
    os.environ["COMP_WORDS"] = "\n".join([*joined, *words[position + 1 :]])
    os.environ["COMP_CWORD"] = str(len(joined) - 1)
    return done


def bash_rest(word: str, done: str) -> str:
    """Return what bash still wants of a word, given what `bash_words` returned, with or without an option's name."""
    for prefix in (done, done.partition("=")[2]):
        if prefix and word.startswith(prefix):
            return word.removeprefix(prefix)
    return word


# -- what scenario files say -------------------------------------------------------------------------------------


def _scenario(ctx: typer.Context) -> str:
    """Return the scenario that the command line names, in its words or in its --config file."""
    config = ctx.params.get("config")
    if config and not ctx.params.get("scenario"):
        import tomllib

        said = tomllib.loads(Path(config).read_text(encoding="utf-8"))["scenario"]
        return str(Path(config).parent / said) if said.endswith(".py") or ".py:" in said else str(said)
    return _named(ctx, "scenario")


def _named(ctx: typer.Context, argument: str) -> str:
    """Return an argument, which the parser leaves aside when the option to complete has no value yet."""
    return str(ctx.params.get(argument) or next((word for word in ctx.args if not word.startswith("-")), ""))


def installed() -> dict[str, str]:
    """Return the registered scenarios: name to ``module:Class``."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def _parameters(scenario: str) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the values to offer and the description of every parameter in the text of a scenario's class."""
    return _declared(*_chosen(scenario))


def _chosen(scenario: str) -> tuple[ast.ClassDef, dict[str, ast.ClassDef], dict[str, ast.expr]]:
    """Return the text of a scenario's class, of the other classes in its file, and the names that it defines."""
    path, _, wanted = scenario.rpartition(":") if ".py:" in scenario else (scenario, "", "")
    if not path.endswith(".py"):
        module, _, wanted = installed()[path].partition(":")
        path = _source_of(module)
    tree = _parsed(Path(path))
    classes = _classes(tree)
    chosen = classes[wanted] if wanted else next(iter(classes.values()))
    elsewhere = [_chosen_in(module, name) for module, name in _imported(tree).values()]
    bases = {name: node for _, theirs, _ in elsewhere for name, node in theirs.items()}
    inherited = {name: value for _, _, aliases in elsewhere for name, value in aliases.items()}
    return chosen, bases | classes, inherited | _aliases(tree)


def _chosen_in(module: str, name: str) -> tuple[ast.ClassDef, dict[str, ast.ClassDef], dict[str, ast.expr]]:
    return _chosen(f"{_source_of(module)}:{name}")


def _imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Return the installed scenarios that a file's classes derive from: name to module and class."""
    bases = {base.id for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases
             if isinstance(base, ast.Name)}  # fmt: skip
    return {
        alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(SCENARIOS)
        for alias in node.names
        if node.module and alias.name in bases and alias.asname is None
    }


def _aliases(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _decided(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[tuple[str, str, str]]:
    """Give the name, the population and the first line of what is said of every decision of a class."""
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            yield from _decided(classes[base.id], classes)
    for statement in node.body:
        if not isinstance(statement, ast.FunctionDef):
            continue
        for call in statement.decorator_list:
            if not isinstance(call, ast.Call) or getattr(call.func, "id", getattr(call.func, "attr", "")) != "decision":
                continue
            if call.args and isinstance(call.args[0], ast.Attribute):
                population = call.args[0].value
                text = (ast.get_docstring(statement) or "").split("\n")[0]
                yield statement.name, getattr(population, "id", getattr(population, "attr", "")), text


def _recorded(path: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the parameters that a run file names, with the values that they had."""
    import netCDF4

    prefix = "parameter_"
    with netCDF4.Dataset(path) as file:
        attributes = {name: file.getncattr(name) for name in file.ncattrs() if name.startswith(prefix)}
    attributes.pop("parameter_units", None)
    return {
        name.removeprefix(prefix): (() if str(value).startswith("json:") else (str(value),), "")
        for name, value in attributes.items()
    }


def _source_of(module: str) -> str:
    """Return the file of an installed module without running it."""
    from importlib.util import find_spec

    found = find_spec(module)
    return str(found.origin) if found else ""


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    """Return the classes that are scenarios by their text: derived from Scenario, from installed ones or these."""
    found: dict[str, ast.ClassDef] = {}
    derived = {"Scenario", *_imported(tree)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = {base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases}
            if bases & (derived | found.keys()):
                found[node.name] = node
    return found


def _summary(node: ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").split("\n")[0]


def _declared(
    node: ast.ClassDef, classes: dict[str, ast.ClassDef], aliases: dict[str, ast.expr]
) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the parameters of a class, those of its bases in the same file first."""
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found |= _declared(classes[base.id], classes, aliases)
    for statement in node.body:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        call = statement.value
        if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) == "param":
            text = next((word.value for word in call.keywords if word.arg == "description"), None)
            description = str(text.value) if isinstance(text, ast.Constant) else ""
            values = tuple(_values(statement.annotation, aliases)) or tuple(_default(call))
            found[statement.target.id] = (values, description)
    return found


def _default(call: ast.Call) -> Iterator[str]:
    """Give the default of a parameter where it is written as a number or a text."""
    if call.args:
        try:
            yield str(ast.literal_eval(call.args[0]))
        except ValueError:
            return


def _values(annotation: ast.expr, aliases: dict[str, ast.expr]) -> Iterator[str]:
    """Give the values of a ``Literal`` or ``bool``, with ``none`` where it is allowed."""
    if isinstance(annotation, ast.BinOp):
        yield from _values(annotation.left, aliases)
        yield from _values(annotation.right, aliases)
    elif isinstance(annotation, ast.Constant) and annotation.value is None:
        yield "none"
    elif isinstance(annotation, ast.Name) and annotation.id == "bool":
        yield from SWITCHES
    elif isinstance(annotation, ast.Name) and annotation.id in aliases:
        yield from _values(aliases[annotation.id], aliases)
    elif isinstance(annotation, ast.Subscript):
        members = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        yield from (str(member.value) for member in members if isinstance(member, ast.Constant))
