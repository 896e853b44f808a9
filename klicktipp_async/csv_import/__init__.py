"""Import of contacts from a CSV file: what `klicktipp import` does, as functions.

`prepare` reads and checks the whole file, `start` creates the missing tags, `run` sends the rows.
"""

from __future__ import annotations

from klicktipp_async.csv_import.encoding import TableError
from klicktipp_async.csv_import.job import ImportJob
from klicktipp_async.csv_import.mapping import MappingError
from klicktipp_async.csv_import.report import Summary
from klicktipp_async.csv_import.run import ImportOptions, Plan, prepare, run, start

__all__ = [
    "ImportJob",
    "ImportOptions",
    "MappingError",
    "Plan",
    "Summary",
    "TableError",
    "prepare",
    "run",
    "start",
]
