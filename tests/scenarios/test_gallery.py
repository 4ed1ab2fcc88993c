from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import simengine.scenarios
from simengine.runs import registry

GALLERY = Path(simengine.scenarios.__file__).with_name("README.md")
SHIPPED = sorted(registry.installed())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_gallery_shows_every_scenario_with_a_command_whose_settings_exist(name: str) -> None:
    row = next(line for line in GALLERY.read_text(encoding="utf-8").splitlines() if line.startswith(f"| [`{name}`]"))
    words = shlex.split(re.findall(r"`(simengine run [^`]+)`", row)[0])
    assert words[:3] == ["simengine", "run", name]
    settings = [words[index + 1].split("=", 1) for index, word in enumerate(words) if word == "--set"]
    scenario = registry.find(name)
    declared = scenario.declaration.parameters.parameters
    from simengine.scenario.parameters import parse_value

    scenario({key: parse_value(declared[key], value) for key, value in settings})
    assert scenario.paper
    file = re.findall(r"\]\((\w+)\.py\)", row)[0]
    assert scenario.__module__ == f"simengine.scenarios.{file}"
