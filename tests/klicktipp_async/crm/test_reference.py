"""What the account has to refer to: loaded once, listed again on a miss, and created once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest

from klicktipp_async import ArgumentError, BusinessError, ConfigError, KlickTipp, SdkError, ServerError
from klicktipp_async.crm.reference import Reference
from klicktipp_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

LISTS = ("List Data Fields", "List Opt-in Processes", "List Tags")


@pytest.fixture
async def reference(kt: KlickTipp) -> Reference:
    """What the account has, not loaded yet."""
    return Reference(kt)


def counts(box: Sandbox, *operations: str) -> list[int]:
    """How often each operation was called."""
    return [box.count(operation) for operation in operations]


async def at_once(jobs: list[Callable[[], Awaitable[object]]]) -> list[object]:
    """Run all jobs in tasks of their own; their results, in the order in which they ended."""
    results: list[object] = []

    async def run(job: Callable[[], Awaitable[object]]) -> None:
        results.append(await job())

    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(run, job)
    return results


async def test_everything_is_loaded_once(box: Sandbox, reference: Reference) -> None:
    """However many tasks load, each list is asked for once."""
    key = box.add_field("Kundennummer")
    box.add_tag("Käufer; groß")
    await at_once([reference.load for _ in range(10)])
    await reference.load()
    assert reference.fields[key] == "Kundennummer"
    assert reference.opt_ins == {box.default_opt_in_id: "", box.single_opt_in_id: "Single-Opt-In"}
    assert reference.missing(["Käufer; groß"]) == []
    assert counts(box, *LISTS) == [1, 1, 1]


@pytest.mark.parametrize("operation", LISTS)
async def test_a_load_that_failed_is_made_again(box: Sandbox, reference: Reference, operation: str) -> None:
    """The error is that of the call itself, and the next load asks once more."""
    box.fail(operation, status=500, body="kaputt", times=99)
    with pytest.raises(ServerError):
        await reference.load()
    box._faults.clear()
    await reference.load()
    assert len(reference.fields) == 16


async def test_an_opt_in_process_is_named_by_its_id_or_its_name(box: Sandbox, reference: Reference) -> None:
    """The account's own has no name; None and "default" mean it."""
    await reference.load()
    for named in (box.single_opt_in_id, str(box.single_opt_in_id), "Single-Opt-In"):
        assert reference.opt_in_id(named) == box.single_opt_in_id
    assert reference.opt_in_id(box.default_opt_in_id) == box.default_opt_in_id
    assert (reference.opt_in_id(None), reference.opt_in_id("default")) == (None, None)


@pytest.mark.parametrize("named", [7, "7", "Newsletter", ""])
async def test_an_unknown_opt_in_process_is_told_what_there_is(
    box: Sandbox, reference: Reference, named: int | str
) -> None:
    """The error lists ids and names, the nameless one included."""
    await reference.load()
    there = rf"{box.default_opt_in_id} \(Default double opt-in\), .* \(Single-Opt-In\)$"
    with pytest.raises(ConfigError, match=rf"no opt-in process .?{named}.?; it has {there}"):
        reference.opt_in_id(named)


async def test_a_name_that_two_opt_in_processes_have_is_no_name(box: Sandbox, reference: Reference) -> None:
    """Consent is not guessed."""
    box.add_opt_in("Single-Opt-In")
    await reference.load()
    with pytest.raises(ConfigError, match="several opt-in processes"):
        reference.opt_in_id("Single-Opt-In")


async def test_an_account_without_opt_in_processes_says_so(reference: Reference) -> None:
    """The text does not end in nothing."""
    with pytest.raises(ConfigError, match=r"it has none$"):
        reference.opt_in_id(7)


async def test_names_are_those_of_manual_tags(box: Sandbox, reference: Reference) -> None:
    """SmartTags have ids like every tag, but no name that counts."""
    manual, smart = box.add_tag("Käufer"), box.add_tag("Geöffnet", smart=True)
    await reference.load()
    assert await reference.names_of([smart, manual]) == {manual: "Käufer"}
    assert await reference.names_of([]) == {}


async def test_an_unknown_id_lists_the_tags_once(box: Sandbox, reference: Reference) -> None:
    """A SmartTag is asked for a single time, however many tasks meet it and however often."""
    smart = box.add_tag("Geöffnet", smart=True)
    await reference.load()
    await at_once([lambda: reference.names_of([smart]) for _ in range(50)])
    await reference.names_of([smart])
    assert box.count("List Tags") == 2


async def test_many_unknown_ids_at_once_share_a_list(box: Sandbox, reference: Reference) -> None:
    """Tasks that meet different ids at the same time are all served by one list."""
    smart = [box.add_tag(f"Smart {number}", smart=True) for number in range(20)]
    await reference.load()
    await at_once([partial(reference.names_of, [tag_id]) for tag_id in smart])
    assert box.count("List Tags") == 2


async def test_a_tag_that_was_made_meanwhile_is_found(box: Sandbox, reference: Reference) -> None:
    """The list that a miss causes brings its name."""
    await reference.load()
    made = box.add_tag("Neu")
    assert await reference.names_of([made]) == {made: "Neu"}
    assert await reference.tag_ids(["Neu"]) == {"Neu": made}
    assert box.count("List Tags") == 2


async def test_a_list_that_failed_makes_nothing_a_smart_tag(box: Sandbox, reference: Reference) -> None:
    """An id is only given up when the service has answered."""
    await reference.load()
    made = box.add_tag("Neu")
    box.fail("List Tags", status=400)
    with pytest.raises(SdkError):
        await reference.names_of([made])
    assert await reference.names_of([made]) == {made: "Neu"}


async def test_missing_names_are_told_each_once(box: Sandbox, reference: Reference) -> None:
    """In the order in which they were given, and without a call."""
    box.add_tag("Alt")
    await reference.load()
    assert reference.missing(["Ü", "Alt", "B", "Ü"]) == ["Ü", "B"]
    assert box.count("List Tags") == 1


async def test_known_tags_cost_nothing(box: Sandbox, reference: Reference) -> None:
    """No call for names that are known."""
    known = box.add_tag("Alt")
    await reference.load()
    assert await reference.tag_ids(["Alt", "Alt"]) == {"Alt": known}
    assert await reference.tag_ids([]) == {}
    assert counts(box, "List Tags", "Create Tag") == [1, 0]


async def test_a_missing_tag_is_created_once(box: Sandbox, reference: Reference) -> None:
    """Fifty tasks that want it cost one creation and one more list."""
    known = box.add_tag("Alt")
    await reference.load()
    results = await at_once([lambda: reference.tag_ids(["[CRM] Käufer", "Alt"]) for _ in range(50)])
    assert all(result == results[0] for result in results)
    assert list(await reference.tag_ids(["[CRM] Käufer", "Alt"])) == ["[CRM] Käufer", "Alt"]
    assert known in (await reference.tag_ids(["Alt"])).values()
    assert counts(box, "Create Tag", "List Tags") == [1, 2]


async def test_a_created_tag_has_a_name(box: Sandbox, reference: Reference) -> None:
    """What was created is known in both directions."""
    await reference.load()
    ids = await reference.tag_ids(["Neu"])
    assert await reference.names_of(ids.values()) == {ids["Neu"]: "Neu"}
    assert box.count("List Tags") == 2


async def test_different_missing_tags_at_once_are_all_created(box: Sandbox, reference: Reference) -> None:
    """Tasks that want different tags do not stand in each other's way."""
    await reference.load()
    await at_once([partial(reference.tag_ids, [f"T{number // 2}"]) for number in range(10)])
    assert Counter(tag.name for tag in box.tags.values()) == {f"T{number}": 1 for number in range(5)}


@pytest.mark.parametrize(("name", "error"), [("  ", ArgumentError), ("123", BusinessError)])
async def test_a_name_that_cannot_be_is_refused(reference: Reference, name: str, error: type[Exception]) -> None:
    """A refused name is an error for those who want it, and for nobody else."""
    await reference.load()
    with pytest.raises(error):
        await reference.tag_ids([name])
    assert await reference.tag_ids(["Gut"])


async def test_a_tag_that_is_gone_is_made_again(box: Sandbox, kt: KlickTipp, reference: Reference) -> None:
    """Forgotten by several tasks at once, it is created once more, not once for each."""
    old = box.add_tag("Käufer")
    await reference.load()
    await kt.tags.delete(old)

    async def again() -> dict[str, int]:
        await reference.forget(["Käufer", "Unbekannt"])
        return await reference.tag_ids(["Käufer"])

    results = await at_once([again for _ in range(10)])
    assert all(result == results[0] != {"Käufer": old} for result in results)
    assert await reference.names_of([old]) == {}
    assert box.count("Create Tag") == 1


async def test_of_two_tags_with_one_name_the_older_is_meant(box: Sandbox, reference: Reference) -> None:
    """The service promises unique names; should it break the promise, the choice stays the same."""
    box.fail("List Tags", status=200, body={"22": "Doppelt", "21": "Doppelt"})
    await reference.load()
    assert await reference.tag_ids(["Doppelt"]) == {"Doppelt": 21}
    assert await reference.names_of([22]) == {22: "Doppelt"}
