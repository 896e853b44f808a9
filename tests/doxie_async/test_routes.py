"""The table of routes: what is assumed, and what a document makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import klickdoxie_core
from doxie_async import routes as r
from doxie_async.errors import DoxieError
from doxie_async.openapi import loosely
from doxie_async.routes import Auth, Operation, Route, Routes
from klickdoxie_core.call import expand

SCHEMES = {"api": {"type": "http", "scheme": "basic"}, "oauth": {"type": "oauth2", "flows": {}}}
NAMES = {Auth.API_USER: "api", Auth.ADMIN: "oauth"}


def entry(operation: Operation, **changes: object) -> dict[str, object]:
    """An operation as a document has it."""
    security: list[object] = [{NAMES[operation.auth]: []}]
    return {"tags": [operation.tag], "summary": operation.summary, "security": security, **changes}


def document(paths: dict[str, Any], **more: object) -> dict[str, object]:
    """A document with these paths."""
    return {"openapi": "3.0.1", "paths": paths, "components": {"securitySchemes": SCHEMES}, **more}


def whole() -> dict[str, Any]:
    """The paths of a document that has every operation where it is assumed."""
    paths: dict[str, Any] = {}
    for route in Routes.assumed():
        paths.setdefault(route.template, {})[route.method.lower()] = entry(route.operation)
    return paths


def test_without_a_document_every_route_is_assumed() -> None:
    """The table by itself claims nothing."""
    table = Routes.assumed()
    assert not any(route.confirmed for route in table)
    assert (table.missing, table.unknown, table.differences, table.server) == ((), (), (), None)
    assert repr(table) == "Routes(0 of 58 confirmed)"


def test_no_two_operations_can_be_taken_for_each_other() -> None:
    """Names differ also without case and punctuation, and no method and path stand for two operations."""
    table = list(Routes.assumed())
    assert len({(loosely(each.operation.tag), loosely(each.operation.summary)) for each in table}) == 58
    assert len({(each.method, each.template) for each in table}) == 58


def test_the_table_is_asked_by_operation() -> None:
    """A route is found by its operation, which is a key."""
    table = Routes.assumed()
    assert table[r.SHOW_BRAND] == Route(r.SHOW_BRAND, "GET", "/api/{tenant}/admin/brands/{id}")
    assert table[r.SHOW_BRAND].parameters == {"tenant": "tenant", "id": "id"}
    assert r.CANCEL_PROCESS.name == "Shared: Cancel a process"
    assert len(set(table)) == 58


def test_a_whole_document_confirms_every_route() -> None:
    """Where the document has all that is assumed, the routes are the same, and confirmed."""
    table = Routes.from_openapi(document(whole()))
    assert all(route.confirmed for route in table)
    assert [(each.operation, each.method, each.template, each.parameters) for each in table] == [
        (each.operation, each.method, each.template, each.parameters) for each in Routes.assumed()
    ]
    assert (table.missing, table.unknown, table.differences) == ((), (), ())
    assert repr(table) == "Routes(58 of 58 confirmed)"


def test_another_path_and_another_method_are_taken() -> None:
    """What the document says replaces what was assumed; the rest stays as it was."""
    table = Routes.from_openapi(document({"/v2/{tenant}/brand/{id}/edit": {"put": entry(r.UPDATE_BRAND)}}))
    assert table[r.UPDATE_BRAND] == Route(r.UPDATE_BRAND, "PUT", "/v2/{tenant}/brand/{id}/edit", confirmed=True)
    assert table[r.SHOW_BRAND] == Routes.assumed()[r.SHOW_BRAND]
    assert len(table) == 58


@pytest.mark.parametrize(
    ("operation", "path", "parameters"),
    [
        (r.SEND_MAIL, "/{tenant_slug}/mail/{slug}", {"tenant": "tenant_slug", "event_slug": "slug"}),
        (r.SEND_MAIL, "/mail/{event_slug}/of/{customer}", {"tenant": "customer", "event_slug": "event_slug"}),
        (r.SHOW_RCS, "/{tenant}/brands/{id}/rcs", {"tenant": "tenant", "brand_id": "id"}),
        (r.SHOW_RCS, "/{tenant}/brands/{brand-id}/rcs", {"tenant": "tenant", "brand_id": "brand_id"}),
        (r.SHOW_RCS, "/{1}/brands/{2.id}/rcs", {"tenant": "_1", "brand_id": "_2_id"}),
    ],
)
def test_renamed_parameters_are_mapped(operation: Operation, path: str, parameters: dict[str, str]) -> None:
    """A parameter is known by its name, else by its place; what comes out can be filled in."""
    route = Routes.from_openapi(document({path: {"post": entry(operation)}}))[operation]
    assert route.parameters == parameters
    values = dict.fromkeys(route.parameters.values(), "x")
    assert "{" not in expand(route.template, dict(values))


@pytest.mark.parametrize("path", ["/mail/{event_slug}", "/{tenant}/{locale}/mail/{event_slug}", "/mail"])
def test_other_parameters_are_an_error(path: str) -> None:
    """A path with more or fewer parameters than the operation has cannot be called; the text says which."""
    with pytest.raises(
        klickdoxie_core.ConfigError, match=r"Mailer: Sends a mail is at .* it is called with tenant, ev"
    ):
        Routes.from_openapi(document({path: {"post": entry(r.SEND_MAIL)}}))


@pytest.mark.parametrize(
    "path",
    [
        "@evil.example/{tenant}/{event_slug}",
        "/{tenant}/{event_slug}?a=b",
        "/{tenant}/}{",
        "/\x7f/{tenant}/{event_slug}",
        "/\ud800/{tenant}/{event_slug}",
    ],
    ids=ascii,
)
def test_what_is_no_path_is_an_error(path: str) -> None:
    """A key that would lead to another host, break the template, or fit into no request is refused."""
    with pytest.raises(DoxieError, match=r"Mailer: Sends a mail is at .* which is not the path of a URL"):
        Routes.from_openapi(document({path: {"post": entry(r.SEND_MAIL)}}))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "routes have none for Mailer: Sends a mail"),
        ([Route(r.SEND_MAIL, "POST", "/{tenant}/{slug}")], "is at .*slug.*; it is called with tenant, event_slug"),
    ],
)
def test_a_table_made_by_hand_must_be_whole(rows: list[Route], said: str) -> None:
    """A route that is missing, or cannot be filled in, is told at once and not by the first call."""
    with pytest.raises(DoxieError, match=said):
        Routes(rows)


def test_a_base_path_does_not_hide_a_missing_slash() -> None:
    """A key without its slash is refused behind a base path too."""
    paths = {"{tenant}/{event_slug}": {"post": entry(r.SEND_MAIL)}}
    with pytest.raises(DoxieError, match="which is not the path of a URL"):
        Routes.from_openapi(document(paths, servers=[{"url": "/base"}]))


def test_a_path_of_an_unknown_operation_is_not_checked() -> None:
    """What this package never calls cannot make a document useless."""
    table = Routes.from_openapi(document({"events": {"get": {"summary": "List"}}}))
    assert table.unknown == ("GET events (List)",)


@pytest.mark.parametrize(
    ("tag", "summary"),
    [
        ("admin/shared", "Cancel a process"),
        ("Admin / Shared", "cancel a  process."),
        ("ADMIN – SHARED", "Cancel a Process"),
        ("Admin::Shared", "“Cancel a process”"),
    ],
)
def test_case_space_and_punctuation_do_not_matter(tag: str, summary: str) -> None:
    """An operation is found in almost the same words, and not taken for its namesake under another tag."""
    table = Routes.from_openapi(document({"/{tenant}/{uuid}": {"post": {"tags": [tag], "summary": summary}}}))
    assert table[r.ADMIN_CANCEL_PROCESS].template == "/{tenant}/{uuid}"
    assert r.CANCEL_PROCESS in table.missing


def test_the_same_words_win() -> None:
    """An exact match is not ambiguous beside one in almost the same words, which is unknown then."""
    paths = {
        "/a/{tenant}": {"get": entry(r.LIST_BRANDS, summary="list brands")},
        "/b/{tenant}": {"get": entry(r.LIST_BRANDS)},
    }
    table = Routes.from_openapi(document(paths))
    assert table[r.LIST_BRANDS].template == "/b/{tenant}"
    assert table.unknown == ("GET /a/{tenant} (Admin: list brands)",)


@pytest.mark.parametrize("summaries", [("List brands", "List brands"), ("list brands", "List Brands!")])
def test_an_ambiguous_operation_names_both(summaries: tuple[str, str]) -> None:
    """Two entries for one operation are an error that shows the two."""
    one, other = (entry(r.LIST_BRANDS, summary=summary) for summary in summaries)
    with pytest.raises(DoxieError, match=r"Admin: List brands is ambiguous: GET /a/.* and GET /b/"):
        Routes.from_openapi(document({"/a/{tenant}": {"get": one}, "/b/{tenant}": {"get": other}}))


def test_an_entry_under_two_tags_is_not_two_operations() -> None:
    """An entry that would be two of our operations is an error that names them."""
    both = entry(r.CANCEL_PROCESS, tags=["Shared", "Admin / Shared"])
    with pytest.raises(DoxieError, match="is both 'Shared: Cancel a process' and 'Admin / Shared: Cancel a process'"):
        Routes.from_openapi(document({"/{tenant}/{uuid}": {"post": both}}))


def test_both_leftovers_are_reported() -> None:
    """What only one side has is named, and what the document lacks stays assumed."""
    paths = whole()
    del paths["/api/{tenant}/admin/tenant"]
    paths["/api/{tenant}/events"] = {"get": {"tags": ["Shared"], "summary": "List events"}, "post": {}}
    table = Routes.from_openapi(document(paths))
    assert table.missing == (r.SHOW_TENANT, r.UPDATE_TENANT)
    assert [route.operation for route in table if not route.confirmed] == [r.SHOW_TENANT, r.UPDATE_TENANT]
    assert table.unknown == (
        "GET /api/{tenant}/events (Shared: List events)",
        "POST /api/{tenant}/events (without a title)",
    )


def test_webhooks_are_neither_missing_nor_unknown() -> None:
    """What Doxie sends to a receiver is passed over, wherever a document puts it; a call beside it is not."""
    hooks = {f"/hook/{number}": {"post": {"tags": ["webhooks"], "summary": s}} for number, s in enumerate(r.WEBHOOKS)}
    hooks["/hooks"] = {"get": {"tags": ["Webhooks"], "summary": "List deliveries"}}
    version_31 = {"messageSent": {"post": {"tags": ["Webhooks"], "summary": r.WEBHOOKS[0]}}}
    table = Routes.from_openapi(document(whole() | hooks, openapi="3.1.0", webhooks=version_31))
    assert table.missing == ()
    assert table.unknown == ("GET /hooks (Webhooks: List deliveries)",)


@pytest.mark.parametrize(
    ("url", "server"), [("https://mpm.example/base/", "https://mpm.example"), ("/base", None), ("base/", None)]
)
def test_a_base_path_stands_before_the_paths_of_the_document(url: str, server: str | None) -> None:
    """The base path goes with the confirmed routes only, so that assumed ones stay right beside them."""
    paths = {"/{tenant}/mail/{event_slug}": {"post": entry(r.SEND_MAIL)}}
    table = Routes.from_openapi(document(paths, servers=[{"url": url}]))
    assert table.server == server
    assert table[r.SEND_MAIL].template == "/base/{tenant}/mail/{event_slug}"
    assert table[r.INITIATE_CONSENT].template == "/api/{tenant}/mpm/consents/initiate"


@pytest.mark.parametrize(
    ("security", "difference"),
    [
        ([{"api": []}], ()),
        ([{"oauth": []}, {"api": []}], ()),
        (
            [{"oauth": []}],
            ("Mailer: Sends a mail: the document asks for bearer, the client sends basic",),
        ),
        (
            [{"api": [], "key": []}],
            ("Mailer: Sends a mail: the document asks for basic and key, the client sends basic",),
        ),
        ([], ("Mailer: Sends a mail: the document asks for no credential, the client sends basic",)),
        ([{1: []}], ("Mailer: Sends a mail: the document asks for 1, the client sends basic",)),
    ],
)
def test_another_credential_is_a_difference(security: list[object], difference: tuple[str, ...]) -> None:
    """The document's credentials are compared with ours; one of several alternatives is enough."""
    paths = {"/{tenant}/{event_slug}": {"post": entry(r.SEND_MAIL, security=security)}}
    assert Routes.from_openapi(document(paths)).differences == difference


def test_a_document_without_credentials_says_nothing_about_them() -> None:
    """Where neither the operation nor the document names a credential there is nothing to compare."""
    silent = {"tags": [r.SEND_MAIL.tag], "summary": r.SEND_MAIL.summary}
    assert Routes.from_openapi(document({"/{tenant}/{event_slug}": {"post": silent}})).differences == ()


def test_a_server_for_one_operation_is_a_difference() -> None:
    """A route has no server of its own, so a document that gives it one is not followed in silence."""
    own = [{"url": "https://send.example"}]
    paths = {
        "/{tenant}/{event_slug}": {"post": entry(r.SEND_MAIL, servers=own)},
        "/{tenant}/brands": {"get": entry(r.LIST_BRANDS, servers=[{"url": "https://mpm.example/"}])},
    }
    (difference,) = Routes.from_openapi(document(paths, servers=[{"url": "https://mpm.example"}])).differences
    assert difference.startswith("Mailer: Sends a mail: the document names a server for it alone")


def test_the_export_reads_back_as_the_same_table() -> None:
    """Methods, paths, parameters, server and what is confirmed survive the way through a JSON file."""
    paths = {"/{tenant-slug}/mail/{slug}": {"put": entry(r.SEND_MAIL)}}
    table = Routes.from_openapi(document(paths, servers=[{"url": "https://mpm.example/api"}]))
    again = Routes.from_openapi(json.loads(json.dumps(table.export())))
    assert list(again) == list(table)
    assert (again.server, again.missing) == (table.server, table.missing)
    assert again[r.SEND_MAIL].confirmed
    assert not again[r.LIST_BRANDS].confirmed


def test_the_environment_names_the_document(tmp_path: Path) -> None:
    """`DOXIE_OPENAPI` is the path of a file; unset and empty mean the assumed table."""
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document(whole())), encoding="utf-8")
    assert Routes.from_env({"DOXIE_OPENAPI": str(file)})[r.SEND_MAIL].confirmed
    assert not Routes.from_env({"DOXIE_OPENAPI": ""})[r.SEND_MAIL].confirmed
    assert not Routes.from_env({})[r.SEND_MAIL].confirmed
