"""Send a file of rows through a Doxie sandbox, be killed in the middle, resume, and show that no row went out twice.

Needs no account: `nox -s demo` runs it, or `python examples/demo.py` where the package is installed with its extras
`cli` and `sandbox`. The command is ended with SIGKILL half-way. What was under way then is listed and not sent again by
itself: only a person can know whether those mails may go out once more.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

from commands import kill, run
from figures import Figure, show

from doxie_async.sandbox import Sandbox

ROWS = 300


async def main(rows: int = ROWS) -> int:
    """Send, be killed, resume, and count; 0 if every figure is as it must be."""
    references = [f"R-{number:04}" for number in range(1, rows + 1)]
    with tempfile.TemporaryDirectory() as name:
        file, errors = Path(name, "rows.csv"), Path(name, "rows.csv.errors.csv")
        write_rows(file, references)
        async with Sandbox() as box, box.serve() as url:
            box.latency = 0.01
            env = {"DOXIE_BASE_URL": url, "DOXIE_TENANT": box.tenant}
            env |= {"DOXIE_API_USER": box.username, "DOXIE_API_PASSWORD": box.password}
            command = ["send", "mailer", "welcome_email", "--rows", str(file)]
            killed = await kill("doxie_async", command, env, lambda: len(box.sent) > rows // 2)
            resumed = await run("doxie_async", [*command, "--resume"], env)
        doubtful = in_doubt(errors)
    print(f"\nrows under way when it was killed: {' '.join(sorted(doubtful))}")
    figures = list(counted(box, references, doubtful))
    figures += [Figure("exit code of the run that was killed", -9, killed)]
    figures += [Figure("exit code of the resumed one: some rows are in doubt", 1, resumed)]
    return show("counted by the sandbox", figures, "no row was sent twice, and every doubt is listed")


def write_rows(file: Path, references: list[str]) -> None:
    """The rows as a German spreadsheet writes them."""
    with file.open("w", encoding="cp1252", newline="") as opened:
        writer = csv.writer(opened, delimiter=";")
        writer.writerow(["reference", "email", "person.anrede", "betreff"])
        writer.writerows(
            [name, f"{name.lower()}@example.com", "Frau Blüte", "Ihr Gutschein; 10 €"] for name in references
        )


def in_doubt(errors: Path) -> set[str]:
    """The rows that the command lists as in doubt."""
    with errors.open(encoding="cp1252", newline="") as file:
        return {row["reference"] for row in csv.DictReader(file, delimiter=";") if row["_state"] == "in doubt"}


def counted(box: Sandbox, references: list[str], doubtful: set[str]) -> Iterator[Figure]:
    """What the sandbox counted, beside what it must be."""
    times = {name: box.count_sent(name) for name in references}
    sure = [name for name in references if name not in doubtful]
    yield Figure("rows that went out more than once", 0, sum(count > 1 for count in times.values()))
    yield Figure("rows that are not in doubt and went out once", len(sure), sum(times[name] == 1 for name in sure))
    yield Figure("rows in doubt", None, len(doubtful))
