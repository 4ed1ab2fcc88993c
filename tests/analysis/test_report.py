from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes

from simengine.analysis import report
from simengine.analysis.pictures import Picture
from simengine.analysis.report import page, rendering, wording
from simengine.errors import InputError, StoreError
from simengine.store.attributes import encode_attributes

NASTY = "<script>alert('$x_1$')</script> & \"quoted\""
VOID = {"meta", "link", "br", "img", "source", "wbr"}
ORDER = ["scenario", "pictures", "observables", "diagnostics", "doubts", "parameters", "interventions", "policies",
         "provenance", "again", "language"]  # fmt: skip


def lines(ax: Axes | None) -> Axes:
    assert ax is not None
    ax.plot([0, 1], [1, 0])
    ax.set_title("falls")
    return ax


def picture(data: xr.Dataset) -> list[Picture]:
    return [Picture("falling", "Falling", "It falls.", lines)]


def attributes(**other: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "title": "People who talk.", "scenario": "TownTalk", "scenario_module": "town", "scenario_source": None,
        "references": "Doe (2020), doi:10.1234/abc.def, https://example.org/x", "time_step": 1.0, "seed": 7,
        "steps": 40, "every": 1, "snapshot_every": None, "start": "scenario", "policies": None, "interventions": None,
        "parameter_n_agents": 30, "parameter_noise": 0.25, "parameter_units": {"noise": "rad", "n_agents": "1"},
        "parameters_given": ["noise"], "stopped_at": 40, "stop_reason": "steps", "content_hash": "abc123",
        "host": "secret-host", "scenario_file": "/home/somebody/town.py", "version_python": "3.11.7",
    }  # fmt: skip
    return encode_attributes(given | other)


def a_run(records: int = 41, **other: Any) -> xr.Dataset:
    rng = np.random.default_rng(1)
    time = np.arange(records, dtype=float)
    series = {"units": "1", "long_name": "mean opinion"}
    flags = {"flag_masks": np.array([1, 2]), "flag_meanings": "few_samples unseen_states"}
    return xr.Dataset(
        {
            "mean_opinion": ("time", rng.normal(0.5, 0.1, records), series),
            "entropy": ("time", np.full(records, 2.0), {"units": "bit", "long_name": "entropy of opinions"}),
            "entropy_standard_error": ("time", np.full(records, 0.1)),
            "entropy_null_mean": ("time", np.full(records, 3.0)),
            "entropy_null_sd": ("time", np.full(records, 0.2)),
            "entropy_flags": ("time", (np.arange(records) % 2).astype(np.int64), flags),
        },
        coords={"time": ("time", time, {"units": "1"}), "step": ("time", np.arange(records))},
        attrs=attributes(**other),
    )


def saved(folder: Path, data: xr.Dataset, name: str = "town.nc") -> Path:
    data.to_netcdf(folder / name)
    return folder / name


def written(folder: Path, data: xr.Dataset, **other: Any) -> str:
    found = report.write(saved(folder, data), folder / "town.html", overwrite=True, **{"rules": [picture]} | other)
    return found.read_text(encoding="utf-8")


class Tree(HTMLParser):
    """Checks that tags close in order, and collects ids, attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [given for one, given in self.seen if one == tag]


LANGUAGE = {"agents.tell": [{"backend": "openai", "model": "m", "elicitation": "single", "fallback_share": 0.1,
            "decisions": {"asked": 100, "contexts": 20, "answered": 70, "reused": 20, "repaired": 0, "refused": 0,
                          "fallbacks": 10, "input_tokens": 4000, "output_tokens": 50}}]}  # fmt: skip


def test_a_page_holds_its_parts_in_order_and_a_table_of_them(tmp_path: Path) -> None:
    policies = {"agents.tell": [{"answer": {"kind": "language", "model": "m"}, "share": 0.1, "ids": None}]}
    source = '"""About towns.\n\nPeople talk a ``lot``.\n"""\nclass TownTalk(Scenario):\n    """People who talk."""\n'
    text = written(
        tmp_path,
        a_run(
            interventions=[{"at": 5, "changes": {"noise": 0.5}}], policies=policies, language=LANGUAGE,
            scenario_source=source,
        ),
    )  # fmt: skip
    tree = Tree(text)
    assert [given["id"] for given in tree.all("section")] == ORDER
    nav = [given["href"] for given in tree.all("a") if str(given.get("href")).startswith("#")]
    assert [f"#{name}" for name in ORDER] == [anchor for anchor in nav if anchor not in ("#contents",)][1:]
    assert tree.all("html")[0]["lang"] == "en"
    for said in ("People talk a", "0.25", "rad", "after step 5", "noise = 0.5", "10 % of the agents", "4,000 sent"):
        assert said in tree.text


def test_a_page_needs_no_network_and_runs_no_scripts(tmp_path: Path) -> None:
    text = written(tmp_path, a_run())
    tree = Tree(text)
    assert not tree.all("script")
    for tag, given in tree.seen:
        for name in ("src", "srcset", "href", "action", "data"):
            address = given.get(name) or ""
            assert not address.startswith(("http", "//")) or (tag == "a" and name == "href")
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    links = [given["href"] for given in tree.all("a") if str(given["href"]).startswith("http")]
    assert links == ["https://doi.org/10.1234/abc.def", "https://example.org/x"]


def test_every_image_has_a_dark_twin_and_words_in_its_place(tmp_path: Path) -> None:
    tree = Tree(written(tmp_path, a_run()))
    images, dark = tree.all("img"), tree.all("source")
    assert len(images) == len(dark) == 1
    assert images[0]["alt"] == "Falling. It falls."
    assert dark[0]["media"] == "(prefers-color-scheme: dark)"
    assert images[0]["src"] != dark[0]["srcset"]
    assert {"width", "height"} <= images[0].keys()


def test_what_users_wrote_is_shown_as_it_is_and_never_obeyed(tmp_path: Path) -> None:
    data = a_run(
        title=NASTY, references=NASTY, stop_reason=NASTY, parameter_word=NASTY, start=NASTY,
        interventions=[{"every": 2, "changes": {"word": NASTY}}],
        policies={NASTY: [{"answer": {"name": NASTY}, "share": 1.0, "ids": None}]},
        language={NASTY: [{"backend": NASTY, "model": NASTY, "decisions": {"asked": 3, "fallbacks": 1}}]},
        scenario_source=f'class TownTalk:\n    """First.\n\n    {NASTY}\n    """\n',
    )  # fmt: skip
    data["mean_opinion"].attrs |= {"long_name": NASTY, "units": NASTY}
    data["time"].attrs["long_name"] = NASTY
    tree = Tree(written(tmp_path, data, rules=None))
    assert not tree.all("script")
    assert tree.text.count(NASTY) >= 12
    assert not re.findall("could not be drawn.*", tree.text)


def test_a_dollar_sign_begins_no_formula_in_figures() -> None:
    data = xr.Dataset(
        {"price": ("kind", [1.0, 2.0], {"units": "$", "long_name": r"costs $\frac$"})},
        coords={"kind": np.array(["$a$", "b"], object)},
    )
    plain = rendering.for_figures(data)
    assert plain["price"].attrs == {"units": r"\$", "long_name": r"costs \$\frac\$"}
    assert plain["kind"].values.tolist() == [r"\$a\$", "b"]
    assert data["price"].attrs["units"] == "$"


def test_titles_and_captions_of_pictures_have_dollar_signs_as_they_were_written(tmp_path: Path) -> None:
    data = a_run()
    data["mean_opinion"].attrs["long_name"] = "$x^2$ and more"
    text = written(tmp_path, data, rules=None)
    assert "$x^2$ and more" in text
    assert r"\$" not in re.sub(r"data:[^\"]*", "", text)


def test_the_folder_of_a_sweep_can_be_the_present_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert page._source(".").name == tmp_path.name
    assert page._source("..").name == tmp_path.parent.name


def test_a_picture_that_fails_is_told_and_the_page_is_there(tmp_path: Path) -> None:
    def failing(ax: Axes | None) -> Axes:
        raise ValueError("no <ink> in /home/somebody/pens/blue.txt")

    def rule(data: xr.Dataset) -> list[Picture]:
        return [Picture("broken", "Broken", "", failing), *picture(data)]

    text = written(tmp_path, a_run(), rules=[rule])
    tree = Tree(text)
    assert "Broken could not be drawn: ValueError: no <ink> in blue.txt" in tree.text
    assert len(tree.all("img")) == 1


def test_a_rule_that_fails_is_told_and_the_page_is_there(tmp_path: Path) -> None:
    def rule(data: xr.Dataset) -> list[Picture]:
        raise KeyError("nothing")

    tree = Tree(written(tmp_path, a_run(), rules=[rule]))
    assert "Pictures could not be drawn: KeyError" in tree.text
    assert "entropy of opinions" in tree.text.lower()


def test_nothing_that_a_file_holds_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    source = f"open({str(trap)!r}, 'w')\nclass TownTalk(Scenario):\n    '''Talk.\n\n    They talk.\n    '''\n" \
             "    noise: float = param(0.5, unit='rad', description='how loud')\n"  # fmt: skip
    tree = Tree(written(tmp_path, a_run(scenario_source=source), rules=None))
    assert not trap.exists()
    assert "They talk." in tree.text
    assert "how loud" in tree.text
    assert "changed" in tree.text


def test_hosts_and_folders_are_not_told(tmp_path: Path) -> None:
    text = written(tmp_path, a_run(start="/home/somebody/graphs/karate.csv"))
    for secret in ("secret-host", "somebody", str(tmp_path)):
        assert secret not in text
    assert "karate.csv" in text


def test_an_existing_page_is_kept_unless_it_may_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, a_run())
    assert report.write(path, rules=[]) == Path("town.html")
    Path("town.html").write_text("mine")
    with pytest.raises(InputError, match=r"town\.html exists"):
        report.write(path, rules=[])
    assert Path("town.html").read_text() == "mine"
    report.write(path, rules=[], overwrite=True)
    assert "<!DOCTYPE html>" in Path("town.html").read_text()


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = saved(tmp_path, a_run()), tmp_path / "town.html"

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(StoreError, match="No space left"):
            report.write(path, out, rules=[])
    assert sorted(found.name for found in tmp_path.iterdir()) == ["town.nc"]


@pytest.mark.parametrize(
    ("path", "said"), [("absent.nc", "there is no run file or sweep"), ("", "allowed is the path")]
)
def test_what_is_no_run_is_refused_and_nothing_written(tmp_path: Path, path: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        report.write(tmp_path / path if path else "", tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_a_page_is_not_written_over_its_own_run(tmp_path: Path) -> None:
    path = saved(tmp_path, a_run())
    before = path.read_bytes()
    with pytest.raises(InputError, match="choose another name"):
        report.write(path, path, overwrite=True)
    assert path.read_bytes() == before


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, xr.Dataset({"x": ("y", [1.0])}))
    with pytest.raises(InputError, match="is no run file"):
        report.write(path, tmp_path / "x.html")


def test_doubts_and_notes_are_counted_alike_wherever_they_stand(tmp_path: Path) -> None:
    tree = Tree(written(tmp_path, a_run(unfinished=1)))
    header, contents = (
        re.search(r"(\d) doubts?, (\d) notes?", tree.text),
        re.search(r"Doubts \((\d)\), notes \((\d)\)", tree.text),
    )
    assert header is not None
    assert contents is not None
    assert header.groups() == contents.groups()
    weights = [given["class"] for given in tree.all("li") if str(given.get("class")).startswith("doubt ")]
    notes = weights.count("doubt note")
    assert header.groups() == (str(len(weights) - notes), str(notes))


def test_marked_code_and_lists_of_docstrings_are_shown_as_such() -> None:
    assert page.rich("a ``<b>`` and `c`") == "a <code>&lt;b&gt;</code> and <code>c</code>"
    assert page._block("1. first\n   goes on\n2. second") == ("ol", ("first goes on", "second"))
    assert page._block("two\nlines") == ("p", ("two lines",))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.0, "3"), (-0.123456, "\u22120.1235"), (1.5e-9, "1.5 \u00d7 10\u207b\u2079"),
     (float("nan"), "\u2013"), (None, "\u2013")],
)  # fmt: skip
def test_numbers_are_short_and_have_true_minus_signs(value: float | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("in /a/b/c.py: no", "in c.py: no"), ("~/x/y.csv", "y.csv"), ("1/2 and a/b", "1/2 and a/b"),
     ("https://a.org/b/c", "https://a.org/b/c"), (r"C:\users\me\run.nc", "run.nc")],
)  # fmt: skip
def test_folders_are_left_out_of_texts(text: str, shown: str) -> None:
    assert wording.without_folders(text) == shown
