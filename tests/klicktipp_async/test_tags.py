"""Tags on the wire, and the helper that makes sure they exist."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest
import respx

from klickdoxie_core import Clock
from klicktipp_async import ArgumentError, BusinessError, Interrupted, KlickTipp, Option, Tag, TagNotFound
from klicktipp_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("answer", "tags"), [({"21": "Käufer", "23": "b"}, {21: "Käufer", 23: "b"}), ([], {}), ({}, {})]
)
async def test_all(kt: KlickTipp, api: respx.MockRouter, answer: Any, tags: dict[int, str]) -> None:
    """The map comes with int keys; PHP's empty list is an empty map."""
    api.get("/tag").respond(json=answer)
    assert await kt.tags.all() == tags


async def test_options_are_sorted_for_people(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Options come sorted by label without regard to case."""
    api.get("/tag").respond(json={"1": "b", "2": "A", "3": "C"})
    assert await kt.tags.options() == [Option("A", "2"), Option("b", "1"), Option("C", "3")]


async def test_get(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A tag's id is an int, whatever the wire shows; unknown keys are kept."""
    api.get("/tag/21").respond(json={"tagid": "21", "name": "mytag", "text": "", "type": "manual"})
    assert await kt.tags.get(21) == Tag(id=21, name="mytag", text="", extra={"type": "manual"})


@pytest.mark.parametrize(("text", "body"), [(None, {"name": "neu"}), ("", {"name": "neu", "text": ""})])
async def test_create(kt: KlickTipp, api: respx.MockRouter, text: str | None, body: Any) -> None:
    """The one-item list of a creation becomes the id."""
    route = api.post("/tag").respond(json=[49])
    assert await kt.tags.create("neu", text=text) == 49
    assert json.loads(route.calls.last.request.content) == body


async def test_update_tells_blank_from_not_given(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A description can be blanked, and what is not given is not sent."""
    route = api.put("/tag/21").respond(json=[True])
    await kt.tags.update(21, text="")
    assert json.loads(route.calls.last.request.content) == {"text": ""}


@pytest.mark.parametrize(
    "call",
    [
        lambda kt: kt.tags.create("  "),
        lambda kt: kt.tags.update(21),
        lambda kt: kt.tags.update(21, name=""),
        lambda kt: kt.tags.ensure(["gut", ""]),
    ],
)
async def test_bad_names_never_leave(kt: KlickTipp, call: Any) -> None:
    """A name that cannot be one is refused before anything is sent."""
    with pytest.raises(ArgumentError, match="name"):
        await call(kt)


@pytest.mark.parametrize("call", [lambda kt: kt.tags.get(1), lambda kt: kt.tags.delete(1)])
async def test_unknown_tag(kt: KlickTipp, api: respx.MockRouter, call: Any) -> None:
    """A 404 of a tag call says that the tag is missing."""
    api.route(path="/tag/1").respond(404, json=["Kein Tag mit dieser ID."])
    with pytest.raises(TagNotFound):
        await call(kt)


async def test_create_whose_answer_is_lost_is_looked_up(clock: Clock) -> None:
    """A tag whose creation was carried out but not answered is found by its name, not created twice."""
    async with Sandbox() as box:
        box.drop("Create Tag")
        tag_id = await box.client(clock=clock).tags.create("Kunde")
        assert (box.tags[tag_id].name, box.count("Create Tag")) == ("Kunde", 1)


async def test_create_is_sent_again_only_when_absent(clock: Clock) -> None:
    """A tag whose creation never happened is created by the second request."""
    async with Sandbox() as box:
        box.drop("Create Tag", applied=False)
        await box.client(clock=clock).tags.create("Kunde")
        assert ([tag.name for tag in box.tags.values()], box.count("Create Tag")) == (["Kunde"], 2)


async def test_create_that_cannot_be_looked_up_is_not_sent_again(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The 404 of a web server says nothing about the tag."""
    route = api.post("/tag").mock(side_effect=httpx.ReadError("lost"))
    api.get("/tag").respond(404, html="<html>")
    with pytest.raises(Interrupted) as caught:
        await kt.tags.create("neu")
    assert (caught.value.maybe_applied, route.call_count) == (True, 1)


async def test_an_id_may_come_in_digits(kt: KlickTipp, api: respx.MockRouter) -> None:
    """As the options of a form have it."""
    api.get("/tag/21").respond(json={"tagid": "21", "name": "mytag"})
    one: Any = "21"
    assert (await kt.tags.get(one)).id == 21


async def test_create_without_a_look_up(kt: KlickTipp, api: respx.MockRouter) -> None:
    """`confirm=False` turns the doubt into an error."""
    route = api.post("/tag").mock(side_effect=httpx.ReadError("lost"))
    with pytest.raises(Interrupted) as caught:
        await kt.tags.create("neu", confirm=False)
    assert (caught.value.maybe_applied, route.call_count) == (True, 1)


async def test_ensure_creates_what_is_missing_once() -> None:
    """Many tasks that want the same tags at once, over several views, create each of them once."""
    async with Sandbox() as box:
        known = box.add_tag("Alt")
        kt = box.client()
        results: list[dict[str, int]] = []

        async def ensure(view: KlickTipp) -> None:
            results.append(await view.tags.ensure(["Neu", "Alt", "Neu", "Über; uns"]))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ensure, kt.with_options(timeout=5))
        assert all(result == results[0] for result in results)
        assert list(results[0]) == ["Neu", "Alt", "Über; uns"]
        assert results[0]["Alt"] == known
        assert box.count("Create Tag") == 2


async def test_ensure_of_nothing_sends_nothing(kt: KlickTipp) -> None:
    """No names, no request."""
    assert await kt.tags.ensure([]) == {}


async def test_ensure_finds_what_somebody_else_created(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A name that was taken between the look and the creation is looked up."""
    api.get("/tag").mock(side_effect=[httpx.Response(200, json=[]), httpx.Response(200, json={"7": "neu"})])
    api.post("/tag").respond(406, json=["Tag konnte nicht erstellt werden."])
    assert await kt.tags.ensure(["neu"]) == {"neu": 7}


async def test_of_two_tags_with_one_name_the_older_is_meant(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Whatever the order in which they are listed."""
    api.get("/tag").mock(side_effect=[httpx.Response(200, json=dict.fromkeys(ids, "neu")) for ids in ("79", "97")])
    for _ in range(2):
        assert await kt.tags.ensure(["neu"]) == {"neu": 7}


async def test_ensure_of_a_refused_name_raises(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A name that is refused for another reason is an error."""
    api.get("/tag").respond(json=[])
    api.post("/tag").respond(406, json=["Tag konnte nicht erstellt werden."])
    with pytest.raises(BusinessError):
        await kt.tags.ensure(["123"])


async def test_a_late_first_attempt_is_found_behind_the_refusal_of_the_second(
    api: respx.MockRouter, kt: KlickTipp
) -> None:
    """The answer is lost, the look-up comes too early, and the second attempt is refused since the first arrived."""
    api.post("/tag").mock(
        side_effect=[httpx.ReadError("lost"), httpx.Response(406, json=["Tag konnte nicht erstellt werden."])]
    )
    api.get("/tag").mock(side_effect=[httpx.Response(200, json={}), httpx.Response(200, json={"7": "Kunde"})])
    assert await kt.tags.create("Kunde") == 7


async def test_a_doubt_outlives_the_refusal_of_a_later_attempt(api: respx.MockRouter, kt: KlickTipp) -> None:
    """What is not found may still be under way: the error does not claim that nothing happened."""
    api.post("/tag").mock(side_effect=[httpx.ReadError("lost"), httpx.Response(406, json=["kaputt"])])
    api.get("/tag").respond(json={})
    with pytest.raises(BusinessError) as caught:
        await kt.tags.create("Kunde")
    assert caught.value.maybe_applied
