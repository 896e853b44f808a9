"""No row of the matrix is left out: each stands in a table here, or is named by the docstring of a test."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.faults.matrix import Row

HERE = Path(__file__).parent
PLAYED = (*range(1, 60), 78, 79, 80, 85)
"""Rows that are played against a server; 60 to 77 and 81 to 84 are about logins, cancelling, bulk jobs and webhooks."""

_NAMED = re.compile(r"Rows? (\d+)(?: and (\d+))?")


def rows_of(module: ModuleType) -> set[int]:
    """The rows in a module's tables and in the docstrings of its tests."""
    tables = [value for value in vars(module).values() if isinstance(value, tuple)]
    numbers = {row.number for table in tables for row in table if isinstance(row, Row)}
    for name, value in vars(module).items():
        if name.startswith("test_"):
            numbers |= {int(number) for pair in _NAMED.findall(value.__doc__) for number in pair if number}
    return numbers


@pytest.fixture(scope="module")
def numbers() -> set[int]:
    """All rows of all modules beside this one."""
    files = [*HERE.glob("test_matrix_*.py"), HERE / "test_retry_after.py"]
    return set().union(*(rows_of(importlib.import_module(f"tests.faults.{file.stem}")) for file in files))


@pytest.mark.parametrize("number", PLAYED)
def test_each_row_is_played(number: int, numbers: set[int]) -> None:
    """A number of the matrix without a test would be a promise that nobody keeps."""
    assert number in numbers
