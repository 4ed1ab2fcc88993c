"""Hints in error messages."""

from __future__ import annotations

from pathlib import Path

from simengine.errors import nearest_file


def test_the_file_of_the_most_similar_name_beside_a_missing_one_is_found(tmp_path: Path) -> None:
    for name in ("school.nc", ".scool.nc.swp", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "voters.nc.parts").mkdir()
    assert nearest_file(tmp_path / "scool.nc") == "; did you mean 'school.nc'?"
    assert nearest_file(tmp_path / "voter.nc") == "; did you mean 'voters.nc'?"
    assert nearest_file(tmp_path / "quite_another") == ""
    assert nearest_file(tmp_path / "no_folder" / "school.nc") == ""
