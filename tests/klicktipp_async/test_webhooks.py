"""The vendor's webhooks: every form of a delivery, the token, and hostile input."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klicktipp_async import ArgumentError, ConfigError, Secret, WebhookError
from klicktipp_async.webhooks import WebhookApp, WebhookEvent, parse

FAST = settings(max_examples=100, derandomize=True, deadline=None)
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
SENT = {
    "email": "jörg@müller.example",
    "PhoneNumber": "00491701234567",
    "id": "12345",
    "CustomFieldFirstName": "Jörg; der Große",
    "CustomField217373": "755222400",
    "fieldLastName": "Müller & Söhne",
    "field226649": "",
    "Kunden-Nr.": "ä=1",
}


def multipart(values: dict[str, str], encoding: str = "utf-8") -> bytes:
    """The values as a browser would send them."""
    parts = [
        f'--grenze\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in values.items()
    ]
    return ("".join(parts) + "--grenze--\r\n").encode(encoding)


DELIVERIES: dict[str, tuple[bytes, str, str | bytes]] = {
    "form": (urlencode(SENT).encode(), FORM, ""),
    "form without content type": (urlencode(SENT).encode(), "", ""),
    "form in Windows-1252": (urlencode(SENT, encoding="windows-1252").encode(), f"{FORM}; charset=utf-8", ""),
    "raw Windows-1252": (
        "&".join(f"{k}={v.replace('&', '%26').replace(' ', '+')}" for k, v in SENT.items()).encode("windows-1252"),
        FORM,
        "",
    ),
    "JSON": (json.dumps(SENT).encode(), "application/json; charset=UTF-8", ""),
    "JSON with other types": (
        json.dumps(
            {**SENT, "id": 12345, "CustomField217373": 755222400, "field226649": None}, ensure_ascii=False
        ).encode(),
        JSON,
        "",
    ),
    "multipart": (multipart(SENT), "multipart/form-data; boundary=grenze", ""),
    "multipart in Windows-1252": (multipart(SENT, "windows-1252"), 'multipart/form-data; boundary="grenze"', ""),
    "query": (b"", "", urlencode(SENT)),
    "query in bytes": (b"", "", urlencode(SENT, encoding="windows-1252").encode()),
    "query and body": (urlencode(SENT).encode(), FORM, "email=" + quote_plus(SENT["email"])),
}


@pytest.mark.parametrize("name", DELIVERIES)
def test_every_form_of_a_delivery_gives_the_same_event(name: str) -> None:
    """Form, JSON, multipart and query differ on the wire only, down to the key."""
    body, content_type, query = DELIVERIES[name]
    event = parse(body, content_type=content_type, query=query)
    assert event.email == "jörg@müller.example"
    assert event.contact_id == 12345
    assert event.phone == "00491701234567"
    assert event.fields == {
        "fieldFirstName": "Jörg; der Große",
        "field217373": "755222400",
        "fieldLastName": "Müller & Söhne",
        "field226649": "",
    }
    assert event.parameters == SENT
    assert event.parameter("Kunden-Nr.") == "ä=1"
    assert event.parameter("kunden-nr.") is None
    assert event.key == WebhookEvent(parameters=dict(reversed(SENT.items()))).key


def test_the_key_tells_different_content_apart() -> None:
    """Only a repeated delivery has the key of the first."""
    keys = {
        parse(query.encode(), content_type=FORM).key
        for query in ("a=1&b=2", "a=12&b=", "a=1&b=3", "a=1&c=2", "a=1", "a=&1=")
    }
    assert len(keys) == 6
    assert all(len(key) == 64 for key in keys)


def test_an_event_does_not_show_its_content() -> None:
    """Its repr says how much there is."""
    event = parse(urlencode(SENT).encode(), content_type=FORM)
    assert repr(event) == "WebhookEvent(fields=<4>, parameters=<8>)"


def test_aliases_give_configured_names_their_meaning() -> None:
    """An alias stands before a default name."""
    body = b"Mail=a%40b.example&Nr=7&Tel=0049&Ort=K%C3%B6ln&id=abc&Betrag=12"
    aliases = {"Mail": "email", "Nr": "id", "Tel": "phone", "Ort": "City", "id": "field5", "Betrag": "12345"}
    event = parse(body, content_type=FORM, aliases=aliases)
    assert (event.email, event.contact_id, event.phone) == ("a@b.example", 7, "0049")
    assert event.fields == {"fieldCity": "Köln", "field5": "abc", "field12345": "12"}


def test_an_alias_for_nothing_is_the_callers_error() -> None:
    """A typing error in the set-up is no fault of the sender."""
    with pytest.raises(ArgumentError, match="is not the key of a field"):
        parse(b"a=1", content_type=FORM, aliases={"a": "e-mail"})


@pytest.mark.parametrize("text", ["", "abc", "-1", "1.5", "²", "9" * 5000, " 1"])
def test_an_id_that_is_no_number_is_kept_as_a_parameter_only(text: str) -> None:
    """The name may have been given to something else."""
    event = parse(urlencode({"id": text, "email": ""}).encode(), content_type=FORM)
    assert event.contact_id is None
    assert event.email is None
    assert event.parameters == {"id": text, "email": ""}


def test_nested_json_is_kept_as_json() -> None:
    """What a form cannot say is not lost."""
    event = parse('{"a": {"ö": [1, true, null, 1.5]}, "b": false}'.encode(), content_type="application/x+json")
    assert event.parameters == {"a": '{"ö":[1,true,null,1.5]}', "b": "false"}


@pytest.mark.parametrize(
    "name", ["fieldset", "field", "CustomField", "CustomFieldÄ", "fields", "customField1", "myfield1"]
)
def test_only_names_of_fields_become_fields(name: str) -> None:
    """Other parameters are kept under their names."""
    event = parse(json.dumps({name: "x"}).encode(), content_type=JSON)
    assert event.fields == {}
    assert event.parameters == {name: "x"}


BAD: dict[str, tuple[bytes, str, str | bytes]] = {
    "nothing": (b"", "", ""),
    "ampersands only": (b"&&&", FORM, ""),
    "no text": (b"a=\x81", FORM, ""),
    "no text in the query": (b"", "", "a=%81"),
    "half a character": (b"", "", "a=\udc81"),
    "NUL": (b"a=%00", FORM, ""),
    "NUL in a name": (b'{"\\u0000":1}', JSON, ""),
    "lone surrogate": (b'{"a":"\\ud800"}', JSON, ""),
    "parameter twice": (b"email=a&email=b", FORM, ""),
    "token twice": (b"Authorization=a&Authorization=a", FORM, ""),
    "JSON name twice": (b'{"email":"a","email":"b"}', JSON, ""),
    "query against body": (b"email=a", FORM, "email=b"),
    "field in two spellings": (b"CustomFieldCity=a&fieldCity=b", FORM, ""),
    "10,000 parameters": (b"&".join(b"a%d=1" % n for n in range(10_000)), FORM, ""),
    "10,000 in the query": (b"", "", b"&".join(b"a%d=1" % n for n in range(10_000))),
    "10,000 JSON names": (json.dumps({str(n): 1 for n in range(10_000)}).encode(), JSON, ""),
    "10,000 parts": (multipart({str(n): "1" for n in range(10_000)}), "multipart/form-data; boundary=grenze", ""),
    "JSON list": (b"[1]", JSON, ""),
    "JSON text": (b'"a"', JSON, ""),
    "no JSON": (b"a=1", JSON, ""),
    "JSON in Windows-1252": ('{"a":"ä"}'.encode("windows-1252"), JSON, ""),
    "nested JSON": (b'{"a":' * 100_000, JSON, ""),
    "endless number": (b'{"id":' + b"9" * 5000 + b"}", JSON, ""),
    "multipart without boundary": (multipart(SENT), "multipart/form-data", ""),
    "empty boundary": (multipart(SENT), "multipart/form-data; boundary=", ""),
    "encoded boundary": (multipart(SENT), "multipart/form-data; boundary*=undefined''grenze", ""),
    "other boundary": (multipart(SENT), "multipart/form-data; boundary=anders", ""),
    "multipart without end": (multipart(SENT)[:-4], "multipart/form-data; boundary=grenze", ""),
    "part without name": (b"--grenze\r\n\r\nx\r\n--grenze--", "multipart/form-data; boundary=grenze", ""),
    "part with a long head": (multipart({"a" * 2000: "1"}), "multipart/form-data; boundary=grenze", ""),
    "other content type": (b"<a/>", "text/xml", ""),
    "damaged content type": (b"a=1", "form\r\n;;=;", ""),
    "boundary too far": (multipart(SENT), "multipart/form-data" + ";" * 5000 + " boundary=grenze", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_hostile_input_is_a_webhook_error(name: str) -> None:
    """Whatever is wrong, it is this one error."""
    body, content_type, query = BAD[name]
    with pytest.raises(WebhookError) as caught:
        parse(body, content_type=content_type, query=query)
    assert "delivery" in str(caught.value) or "body" in str(caught.value)
    assert SENT["email"] not in str(caught.value)


@pytest.mark.parametrize("depth", range(800, 1000, 5))
def test_no_depth_of_json_raises_anything_else(depth: int) -> None:
    """Writing a value again may need more stack than reading it."""
    with contextlib.suppress(WebhookError):
        parse(b'{"a":' + b"[" * depth + b"]" * depth + b"}", content_type=JSON)


CONTENT_TYPES = st.sampled_from(
    [FORM, JSON, "", "multipart/form-data; boundary=g", "multipart/form-data; boundary*0=g;boundary*1*=%67"]
) | st.text(max_size=40)
PIECES = st.sampled_from(
    [
        b"--g",
        b"\r\n",
        b"\r\n\r\n",
        b"--",
        b"&",
        b"=",
        b"%",
        b"%e4",
        b"+",
        b'{"a":',
        b'"',
        b"}",
        b"\\ud800",
        b"a",
        b"\xe4",
        b'Content-Disposition: form-data; name="a"',
        b"Content-Disposition: form-data; name*0*=hex''a; name*1=b",
        b"\x85",
        b"\x00",
    ]
) | st.binary(max_size=8)


@FAST
@given(st.lists(PIECES, max_size=12).map(b"".join), CONTENT_TYPES, st.text(max_size=20) | st.binary(max_size=20))
def test_any_input_gives_an_event_or_a_webhook_error(body: bytes, content_type: str, query: str | bytes) -> None:
    """Nothing else ever comes out."""
    try:
        event = parse(body, content_type=content_type, query=query)
    except WebhookError:
        return
    assert event.parameters
    assert len(event.key) == 64


TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=9)


@FAST
@given(st.dictionaries(TEXTS.filter(bool), TEXTS, min_size=1))
def test_what_is_sent_as_a_form_is_received(values: dict[str, str]) -> None:
    """Names and values survive, whatever characters they have."""
    assert parse(urlencode(values).encode(), content_type=FORM).parameters == values


class Inbox:
    """A handler that keeps its events, and a client of the app."""

    def __init__(self, **options: Any) -> None:
        self.events: list[WebhookEvent] = []
        self.app = WebhookApp(self._keep, **({"token": "pä$$;wort"} | options))

    async def _keep(self, event: WebhookEvent) -> None:
        self.events.append(event)

    async def send(self, method: str = "POST", path: str = "/hook", **request: Any) -> int:
        """Send one request and return the status."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://hook.example") as client:
            return (await client.request(method, path, **request)).status_code


TOKEN = "pä$$;wort"
CONTENT = {"email": "anna@example.com"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "request_",
    [
        {"data": {**CONTENT, "Authorization": TOKEN}},
        {"json": {**CONTENT, "Authorization": TOKEN}},
        {"files": {name: (None, value) for name, value in {**CONTENT, "Authorization": TOKEN}.items()}},
        {"data": CONTENT, "params": {"Authorization": TOKEN}},
        {"method": "GET", "params": {**CONTENT, "Authorization": f" {TOKEN} "}},
        {"data": CONTENT, "headers": {"Authorization": TOKEN.encode()}},
        {"data": CONTENT, "headers": {"authorization": b"Bearer " + TOKEN.encode()}},
        {"json": CONTENT, "headers": {"AUTHORIZATION": b"bearer  " + TOKEN.encode()}},
    ],
)
async def test_a_delivery_with_the_token_is_taken_and_the_token_left_out(request_: dict[str, Any]) -> None:
    """The token may come in the body, the query or a header; the event does not have it."""
    inbox = Inbox()
    assert await inbox.send(**request_) == 200
    (event,) = inbox.events
    assert event == parse(b"email=anna%40example.com", content_type=FORM)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"data": CONTENT}, 401),
        ({"data": {**CONTENT, "Authorization": ""}}, 401),
        ({"data": {**CONTENT, "Authorization": "falsch"}}, 401),
        ({"data": {**CONTENT, "authorization": TOKEN}}, 401),
        ({"data": {**CONTENT, "Authorization": f"Bearer {TOKEN}"}}, 401),
        ({"data": CONTENT, "headers": {"Authorization": "Bearer"}}, 401),
        ({"data": CONTENT, "headers": {"Authorization": "Basic " + TOKEN.encode().hex()}}, 401),
        ({"method": "GET"}, 401),
        ({"json": [TOKEN]}, 400),
        ({"content": b"\x81=", "headers": {"Authorization": TOKEN.encode()}}, 400),
        ({"data": {"Authorization": TOKEN}}, 400),
        ({"method": "PUT", "data": {**CONTENT, "Authorization": TOKEN}}, 405),
        ({"data": {**CONTENT, "Authorization": TOKEN, "x": "y" * 1000}}, 413),
    ],
)
async def test_any_other_delivery_is_refused(request_: dict[str, Any], status: int) -> None:
    """No refusal reaches the handler."""
    inbox = Inbox(max_body=1000)
    assert await inbox.send(**request_) == status
    assert inbox.events == []


@pytest.mark.anyio
async def test_the_token_may_have_another_name_and_the_parameters_aliases() -> None:
    """Both are as the webhook was set up; a `Secret` is taken, too."""
    inbox = Inbox(token=Secret("geheim"), token_parameter="X-Token", aliases={"Ort": "City"})
    assert await inbox.send(data={"Ort": "Köln"}, headers={"x-token": "geheim"}) == 200
    assert await inbox.send(data={"Ort": "Köln", "X-Token": "geheim"}) == 200
    assert [event.fields for event in inbox.events] == [{"fieldCity": "Köln"}] * 2


@pytest.mark.anyio
@pytest.mark.parametrize("name", BAD)
async def test_hostile_input_is_answered(name: str) -> None:
    """A refusal, never a crash."""
    body, content_type, query = BAD[name]
    raw_query = query.encode("utf-8", "surrogatepass") if isinstance(query, str) else query
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", content_type.encode()), (b"authorization", b"geheim")]
    scope = {"type": "http", "method": "POST", "headers": headers, "query_string": raw_query}
    await WebhookApp(lambda _: None, token="geheim")(scope, receive, send)
    assert sent[0]["status"] in {400, 401}


@pytest.mark.anyio
async def test_neither_log_nor_repr_has_the_token_or_the_contact(caplog: pytest.LogCaptureFixture) -> None:
    """The app's own words are free of both, whatever happens."""

    def fail(event: WebhookEvent) -> None:
        raise KeyError(event.email, event.parameters)

    inbox = Inbox(token="geheim")
    inbox.app = WebhookApp(fail, token="geheim")
    with caplog.at_level(logging.DEBUG, logger="klickdoxie_core"):
        assert await inbox.send(data={**CONTENT, "Authorization": "geheim"}) == 200
        assert await inbox.send(data={**CONTENT, "Authorization": "geheim "}, headers={"x": "y"}) == 200
        assert await inbox.send(data={**CONTENT, "Authorization": "geheimer"}) == 401
    own = [record.getMessage() for record in caplog.records if record.name.startswith("klickdoxie_core")]
    assert len(own) == 3
    assert not any("geheim" in text or "anna" in text for text in own)
    assert "geheim" not in repr(inbox.app)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token": ""}, "token .* must not be empty"),
        ({"token": "  "}, "token .* must not be empty"),
        ({"token": Secret("")}, "token .* must not be empty"),
        ({"token": None}, "token must be a text or a Secret, not NoneType"),
        ({"token": b"geheim"}, "token must be a text or a Secret, not bytes"),
        ({"token": "geheim", "token_parameter": ""}, "token_parameter must be the name of .*, not empty"),
        ({"token": "geheim", "token_parameter": None}, "token_parameter must be the name"),
        ({"token": "geheim", "aliases": {"a": "b c"}}, "'b c' is not the key of a field"),
        ({"token": "geheim", "handler": None}, "handler must be a function that takes a WebhookEvent"),
    ],
)
def test_a_receiver_that_could_not_work_is_a_configuration_error(options: dict[str, Any], said: str) -> None:
    """It is told when the app is made, by the name of the argument, and the token is not shown."""
    given: dict[str, Any] = {"handler": lambda _: None, **options}
    with pytest.raises(ConfigError, match=said) as caught:
        WebhookApp(**given)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("content_type", [None, "", FORM])
def test_a_form_needs_no_content_type(content_type: str | None) -> None:
    """A framework gives None for a header that did not come."""
    assert parse(b"email=anna%40example.com", content_type=content_type).email == "anna@example.com"
