"""CSV files as people have them: found out, read lazily, and the rows that went wrong written back untouched."""

from __future__ import annotations

from klickdoxie_core.table.encoding import SourceFailed, TableError
from klickdoxie_core.table.reader import OWN_COLUMNS, Row, Table, open_table
from klickdoxie_core.table.rejects import ErrorFile, error_file_of

__all__ = ["OWN_COLUMNS", "ErrorFile", "Row", "SourceFailed", "Table", "TableError", "error_file_of", "open_table"]
