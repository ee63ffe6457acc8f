"""Tests of theanoish.machine."""

import os
from pathlib import Path

import pytest

from theanoish import machine


@pytest.mark.parametrize(
    ("quota", "cores"), [("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("900000 100000", 4)]
)
def test_a_containers_quota_counts_as_so_many_cores(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(machine, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 8, 9}, raising=False)
    found = machine.usable_cores()
    assert len(set(found)) == len(found) == cores
    assert set(found) <= {3, 5, 8, 9}


@pytest.mark.parametrize("text", ["max 100000\n", None])
def test_without_a_quota_all_cores_that_a_process_is_held_to_count(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(machine, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 8, 9}, raising=False)
    assert machine.usable_cores() == [3, 5, 8, 9]
