"""What `import` and `sync` are told in common."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from klickdoxie_core import UNSET
from klicktipp_async import ConfigError
from klicktipp_async.commands import arguments
from klicktipp_async.crm import Mapping

PLAIN, NAMING = Mapping(email="Mail"), Mapping(email="Mail", opt_in="Newsletter")


@pytest.mark.parametrize(
    ("text", "mapping", "found"),
    [
        ("default", None, None),
        ("17", PLAIN, 17),
        ("17", NAMING, 17),
        ("default", NAMING, None),
        (None, NAMING, UNSET),
    ],
)
def test_the_argument_wins_over_the_mapping(text: str | None, mapping: Mapping | None, found: object) -> None:
    """None is the account's own process, UNSET the one that the mapping names."""
    assert arguments.opt_in_id(text, mapping) == found


@pytest.mark.parametrize("mapping", [None, PLAIN])
def test_somebody_must_name_the_opt_in_process(mapping: Mapping | None) -> None:
    """It is about the consent of people, so that nobody chooses it in silence."""
    with pytest.raises(ConfigError, match="say which opt-in process") as caught:
        arguments.opt_in_id(None, mapping)
    assert "--opt-in default" in str(caught.value)


@pytest.mark.parametrize("text", ["Newsletter", "-1", "1.5", "٣", "Größe 2"])
def test_an_opt_in_process_may_be_named(text: str) -> None:
    """What is no number is a name, as in a mapping; whether there is such a process is known to the account."""
    assert arguments.opt_in_id(text, PLAIN) == text


@pytest.mark.parametrize("text", ["", "  "])
def test_an_opt_in_process_is_not_blank(text: str) -> None:
    """An empty variable of a shell is no wish."""
    with pytest.raises(ConfigError, match="takes the number or name"):
        arguments.opt_in_id(text, NAMING)


def test_a_zone_has_a_name() -> None:
    """It is one that this machine knows."""
    assert arguments.timezone("Europe/Berlin").key == "Europe/Berlin"
    for text in ("Mond/Krater", "", "../etc"):
        with pytest.raises(argparse.ArgumentTypeError, match="no time zone"):
            arguments.timezone(text)


def test_a_text_is_not_empty() -> None:
    """Blanks are a text."""
    assert arguments.not_empty(" ") == " "
    with pytest.raises(argparse.ArgumentTypeError, match="must not be empty"):
        arguments.not_empty("")


def test_what_is_not_said_has_its_usual_place() -> None:
    """The journal stands beside the file, and so do the rows that do not arrive, unless a database is asked."""
    parser = argparse.ArgumentParser()
    arguments.add_file(parser)
    arguments.add_job(parser)
    options = parser.parse_args(["daten/kontakte.csv"])
    options.concurrency = 16
    told = arguments.job_options(options)
    assert (told["file"], told["errors"], told["language"]) == (Path("daten/kontakte.csv"), None, "en")
    assert (told["limit"], told["encoding"], told["resume"], told["as_json"]) == (None, None, False, False)
    assert arguments.journal(options) == Path("daten/kontakte.csv.journal")
    options.journal = Path("x")
    assert arguments.journal(options) == Path("x")
    asked = parser.parse_args(["--sql", "sqlite:///x.db", "--query", "SELECT 1"])
    asked.concurrency = 16
    assert arguments.job_options(asked)["errors"] == Path("query.errors.csv")
