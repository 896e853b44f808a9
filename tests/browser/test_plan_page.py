"""The page of a plan in a real browser; `KLICKDOXIE_BROWSER=/usr/bin/chromium pytest tests/browser` runs these."""

from __future__ import annotations

import html
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from klicktipp_async.crm import Mapping, Target
from klicktipp_async.crm.reasons import Language
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.page_support import HOSTILE, VALUES, Parsed, trapped
from tests.klicktipp_async.crm.support import make_sync, people

BROWSER = os.environ.get("KLICKDOXIE_BROWSER", "")
TITLE = "export </title><script>document.title='gone'</script>"
ROWS = 5000

if not BROWSER:
    pytest.skip("KLICKDOXIE_BROWSER does not name a browser", allow_module_level=True)


@attrs.define
class Trap:
    """A server that notes who comes, and names that lead to it."""

    url: str
    visitors: list[str] = attrs.field(factory=list[str])

    @property
    def names(self) -> tuple[str, ...]:
        """What an attacker would call a tag, a field, or a column."""
        return (
            f"<img src={self.url}/img onerror=document.title='img'>",
            f"</script><script src={self.url}/script></script>",
            f"<iframe src={self.url}/frame></iframe><link rel=stylesheet href={self.url}/style>",
            "</style></title><script>document.title='inline'</script>",
            f"<meta http-equiv=refresh content='0;url={self.url}/refresh'>",
            f"<style>body{{background:url({self.url}/background)}}</style>",
            *HOSTILE,
        )


@pytest.fixture
def trap() -> Iterator[Trap]:
    """The server, on loopback."""

    class Note(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.visitors.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.end_headers()
            self.wfile.write(b"document.title = 'loaded'")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Note) as server:
        made = Trap(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


Browse = Callable[..., Parsed]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Open a page and take apart what has become of it."""

    def browsed(path: Path, fragment: str = "", *options: str, language: Language = "en") -> Parsed:
        return Parsed(run(tmp_path, "--dump-dom", *options, f"{path.as_uri()}{fragment}"), language)

    return browsed


def run(folder: Path, *options: str) -> str:
    """What the browser prints."""
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", profile, *options]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True, timeout=50).stdout


def hostile_page(path: Path, names: tuple[str, ...]) -> Path:
    """The page of a plan in which everything has such names."""

    async def write() -> None:
        async with Sandbox() as box:
            sync = await trapped(box, box.client(), names, (*names, *VALUES))
            await sync.write_page(path, title=TITLE, language="en")

    anyio.run(write)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on five thousand rows, one in ten of which is a duplicate of the row before, and one in ten is broken."""
    path = tmp_path_factory.mktemp("large") / "plan.html"

    async def write() -> None:
        async with Sandbox() as box:
            sync = make_sync(box, box.client(), look_up=False)
            rows = list(people(ROWS))
            for number in range(9, ROWS, 10):
                rows[number] = rows[number - 1]
                rows[number - 5] = {"Nr": f"X-{number}", "Mail": "kaputt"}
            await sync.plan(rows)
            await sync.write_page(path, title="crm.csv")

    anyio.run(write)
    return path


def visible(page: Parsed) -> list[str]:
    """The numbers of the rows that are seen."""
    return [row.cells[0] for row in page.rows if not row.hidden]


def title(page: str) -> str:
    """What the tab is called."""
    return html.unescape(page.partition("<title>")[2].partition("</title>")[0])


def test_one_reason_is_not_the_end_of_another(browse: Browse, tmp_path: Path) -> None:
    """What a reason leads to are its rows only."""
    path = tmp_path / "plan.html"
    fields = {"Uhr": Target(field="Uhr", type="time"), "Wann": Target(field="Wann", type="datetime")}

    async def write() -> None:
        async with Sandbox() as box:
            sync = make_sync(box, box.client(), mapping=Mapping(email="Mail", fields=fields))
            for field in fields:
                box.add_field(field)
            await sync.plan([{"Mail": "a@example.com", "Uhr": "spät"}, {"Mail": "b@example.com", "Wann": "bald"}])
            await sync.write_page(path)

    anyio.run(write)
    assert visible(browse(path, "#q=time_invalid")) == ["1"]
    assert visible(browse(path, "#q=datetime_invalid")) == ["2"]


def test_hostile_names_run_and_load_nothing(trap: Trap, tmp_path: Path) -> None:
    """The title is what it was, nobody comes to the trap, and every name is a text."""
    path = hostile_page(tmp_path / "plan.html", trap.names)
    dumped = run(tmp_path, "--dump-dom", path.as_uri())
    before, after = Parsed(path.read_text(encoding="utf-8")), Parsed(dumped)
    assert title(dumped) == title(path.read_text(encoding="utf-8"))
    assert trap.visitors == []
    assert [element for element, _ in after.elements] == [element for element, _ in before.elements]
    shown = " ".join(after.lines)
    assert all(name[:40] in shown for name in trap.names if name.isprintable())


def test_the_policy_holds_even_where_nothing_was_escaped(trap: Trap, tmp_path: Path) -> None:
    """Should a name ever get through as it is, it still loads and runs nothing; without the policy it would."""
    path = hostile_page(tmp_path / "plan.html", HOSTILE)
    whole = path.read_text(encoding="utf-8").replace("<main>", "<main>" + "".join(trap.names[:4]))
    path.write_text(whole, encoding="utf-8")
    dumped = run(tmp_path, "--dump-dom", path.as_uri())
    assert title(dumped).startswith("export ")
    assert trap.visitors == []
    path.write_text(whole.replace("Content-Security-Policy", "x-nothing"), encoding="utf-8")
    dumped = run(tmp_path, "--dump-dom", path.as_uri())
    assert title(dumped) in {"img", "inline", "loaded"}
    assert {"/img", "/script"} <= set(trap.visitors)


@pytest.mark.parametrize(
    ("fragment", "count"),
    [
        ("", 500),
        ("#q=duplicate", 250),
        ("#q=k-1008%20line%201009,", 1),
        ("#q=EMAIL_invalid", 250),
        ("#q=not%20an%20address", 250),
        ("#q=doppelt%20niemals", 0),
        ("#q=%E0%A4%A", 0),
        ("#q=licate", 250),
        ("#other=1", 500),
    ],
)
def test_rows_are_searched(browse: Browse, large: Path, fragment: str, count: int) -> None:
    """By every word, in any letter case, in reasons and numbers; the page says how many it found."""
    page = browse(large, fragment)
    assert len(visible(page)) == count
    assert any(f"{count} of 500 rows" in line for line in page.lines)


@pytest.mark.parametrize(("browser", "language"), [("de-DE", "de"), ("en-US", "en"), ("fr-FR", "en")])
def test_the_page_speaks_as_the_browser_does(browse: Browse, large: Path, browser: str, language: Language) -> None:
    """German where it is wanted, otherwise English."""
    page = browse(large, "", f"--lang={browser}", f"--accept-lang={browser}", language=language)
    assert ("lang", language) in page.attributes[:2]


def test_a_page_is_printed(large: Path, tmp_path: Path) -> None:
    """On several sheets."""
    pdf = tmp_path / "plan.pdf"
    run(tmp_path, f"--print-to-pdf={pdf}", large.as_uri())
    assert pdf.read_bytes().count(b"/Type /Page\n") > 5


def test_a_large_plan_is_a_small_page(large: Path) -> None:
    """It can be sent by mail."""
    assert large.stat().st_size < 2_000_000
