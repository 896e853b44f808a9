"""Reading an OpenAPI document: what it says of methods, paths, servers and credentials. It knows no operation."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

import attrs

from doxie_async.errors import ConfigError

_METHODS: Final = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"})
_HOLE: Final = re.compile(r"\{([^{}]*)\}")
_NOT_IN_NAME: Final = re.compile(r"\W|^(?=\d)")
# A default for it would be the vendor's example; the client has its own.
_NEVER_DEFAULT: Final = frozenset({"tenant"})


@attrs.frozen
class Entry:
    """One operation of a document.

    Attributes:
        method: The HTTP method.
        path: The path with `{names}`, behind the base path of the server.
        tags: The groups that it is put in.
        summary: Its title; empty when it has none.
        auth: The kinds of credential that it takes, each enough by itself: `basic`, `bearer` and so on; None when the
            document says nothing about it.
        elsewhere: Whether it has a server of its own.
        confirmed: False only for what an exported table calls assumed.
    """

    method: str
    path: str
    tags: tuple[str, ...]
    summary: str
    auth: tuple[str, ...] | None = None
    elsewhere: bool = False
    confirmed: bool = True

    def __str__(self) -> str:
        title = ": ".join(part for part in (", ".join(self.tags), self.summary) if part)
        return f"{self.method} {self.path} ({title or 'without a title'})"


@attrs.frozen
class Document:
    """What was read.

    Attributes:
        name: The file, or that it was handed over; for the texts of errors.
        server: Scheme and host of its server; None when it names none.
        entries: Its operations, in order.
    """

    name: str
    server: str | None
    entries: tuple[Entry, ...]

    def find(self, tag: str, summary: str) -> Entry | None:
        """The operation in these words, else in words that differ in case, spaces and punctuation only.

        Raises:
            ConfigError: Several have them; the text names each.
        """
        found = [entry for entry in self.entries if tag in entry.tags and summary == entry.summary]
        if not found:
            found = [
                entry
                for entry in self.entries
                if loosely(summary) == loosely(entry.summary) and loosely(tag) in map(loosely, entry.tags)
            ]
        if len(found) > 1:
            raise ConfigError(f"{self.name}: {tag}: {summary} is ambiguous: {' and '.join(map(str, found))}")
        return found[0] if found else None


@cache
def loosely(text: str) -> str:
    """The letters and digits of a text, without regard to case."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def read_document(document: Mapping[str, object] | str | os.PathLike[str]) -> Document:
    """What a document says; a str is the path of a JSON or YAML file, never a URL.

    Raises:
        ConfigError: The file cannot be read, or is no OpenAPI document.
    """
    if isinstance(document, Mapping):
        return _read("the OpenAPI document", document)
    name = os.fspath(document)
    if "://" in name or "\n" in name:
        raise ConfigError("an OpenAPI document is given as a mapping or as the path of a file, not as a URL or a text")
    content = _parse(name, _text(name))
    if not isinstance(content, Mapping):
        raise ConfigError(f"{name}: is not an OpenAPI document; it holds no mapping")
    return _read(name, cast("Mapping[str, object]", content))


def _text(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None


def _parse(name: str, text: str) -> object:
    try:
        return json.loads(text)
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None
    except ValueError as error:
        # YAML may begin with a brace too, but then its name says so.
        if text.lstrip().startswith(("{", "[")) and Path(name).suffix.lower() not in {".yaml", ".yml"}:
            raise ConfigError(f"{name}: is not valid JSON: {error}") from None
    return _parse_yaml(name, text)


class _Yaml(Protocol):
    """What is used of PyYAML, which is optional and has no types."""

    YAMLError: type[Exception]

    def safe_load(self, text: str, /) -> object: ...


def _parse_yaml(name: str, text: str) -> object:
    try:
        yaml = cast("_Yaml", importlib.import_module("yaml"))
    except ModuleNotFoundError:
        raise ConfigError(f"{name}: is not JSON; to read YAML, pip install 'klickdoxie[yaml]'") from None
    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f": line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name}: is not valid YAML{where}") from None


def _read(name: str, content: Mapping[str, object]) -> Document:
    if "paths" not in content and "routes" in content:
        return _read_export(name, content)
    paths = content.get("paths")
    if not isinstance(paths, Mapping):
        raise ConfigError(f"{name}: is not an OpenAPI document; it has no `paths`")
    place = _place(name, content)
    entries = _operations(name, content, place, cast("Mapping[str, object]", paths))
    return Document(name, place.origin, tuple(entries))


def _read_export(name: str, content: Mapping[str, object]) -> Document:
    """What `Routes.export` wrote."""
    server = content.get("server")
    entries: list[Entry] = []
    for row in _mappings(content.get("routes")):
        tag, summary, method, path = (row.get(key) for key in ("tag", "summary", "method", "path"))
        texts = (isinstance(value, str) for value in (tag, summary, method, path))
        if not all(texts) or method not in _METHODS:
            raise ConfigError(f"{name}: a route needs tag, summary, method and path; {summary!r} has something else")
        entries.append(
            Entry(str(method), str(path), (str(tag),), str(summary), confirmed=row.get("confirmed") is not False)
        )
    return Document(name, server if isinstance(server, str) else None, tuple(entries))


@attrs.frozen
class _Place:
    """Where operations are: scheme and host if they are named, and the path before each template."""

    origin: str | None
    base_path: str


def _operations(
    name: str, content: Mapping[str, object], place: _Place, paths: Mapping[str, object]
) -> Iterator[Entry]:
    kinds = _kinds(content)
    for path, item in paths.items():
        for method, operation in _mapping(item).items():
            if str(method).upper() not in _METHODS or not isinstance(operation, Mapping):
                continue
            said = cast("Mapping[str, object]", operation)
            servers = [holder for holder in (said, _mapping(item)) if holder.get("servers")]
            tags = said.get("tags")
            yield Entry(
                str(method).upper(),
                _template(place.base_path, str(path)),
                tuple(_line(tag) for tag in cast("list[object]", tags)) if isinstance(tags, list) else (),
                _line(said.get("summary") or ""),
                _auth(said.get("security", content.get("security")), kinds),
                elsewhere=bool(servers) and _place(name, servers[0]) != place,
            )


def _template(base_path: str, path: str) -> str:
    """The whole path with names that a template can hold; what does not begin as a path stays as it is."""
    whole = base_path + path if path.startswith("/") else path
    return _HOLE.sub(lambda hole: "{" + _NOT_IN_NAME.sub("_", hole[1]) + "}", whole)


def _place(name: str, content: Mapping[str, object]) -> _Place:
    urls = [_url(name, server) for server in _mappings(content.get("servers"))] or _urls_of_version_2(content)
    places = [_split(name, url) for url in urls]
    absolute = (place for place in places if place.origin)
    return next(absolute, places[0])


def _url(name: str, server: Mapping[str, object]) -> str:
    """The URL of a server with the defaults of its variables."""
    variables = _mapping(server.get("variables"))

    def value(hole: re.Match[str]) -> str:
        if hole[1] in _NEVER_DEFAULT:
            return hole[0]
        default = _mapping(variables.get(hole[1])).get("default")
        if default is None:
            raise ConfigError(f"{name}: the variable {hole[0]} of a server has no default")
        return str(default)

    return _HOLE.sub(value, str(server.get("url", "/")))


def _urls_of_version_2(content: Mapping[str, object]) -> list[str]:
    host, base_path = content.get("host"), str(content.get("basePath") or "/")
    if not isinstance(host, str):
        return [base_path]
    schemes = content.get("schemes")
    plain = schemes == ["http"]
    return [f"{'http' if plain else 'https'}://{host}/{base_path.lstrip('/')}"]


def _split(name: str, url: str) -> _Place:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"{name}: a server has no valid URL") from None
    path = parts.path.strip("/")
    base_path = f"/{path}" if path else ""
    if "@" in parts.netloc:
        raise ConfigError(f"{name}: a server must not hold a user name")
    # A host that follows from the tenant is the caller's to name.
    if parts.scheme not in {"http", "https"} or "{" in parts.netloc:
        return _Place(None, base_path)
    return _Place(f"{parts.scheme}://{parts.netloc}", base_path)


def _kinds(content: Mapping[str, object]) -> dict[str, str]:
    """The kind of each security scheme, by its name."""
    schemes = _mapping(content.get("components")).get("securitySchemes") or content.get("securityDefinitions")
    return {name: _kind(_mapping(scheme)) for name, scheme in _mapping(schemes).items()}


def _kind(scheme: Mapping[str, object]) -> str:
    kind = str(scheme.get("type"))
    if kind == "http":
        return str(scheme.get("scheme")).lower()
    return "bearer" if kind in {"oauth2", "openIdConnect"} else kind


def _auth(security: object, kinds: Mapping[str, str]) -> tuple[str, ...] | None:
    if not isinstance(security, list):
        return None
    alternatives = _mappings(cast("list[object]", security))
    # In YAML a name may be a number.
    return tuple(" and ".join(kinds.get(name, str(name)) for name in each) or "nothing" for each in alternatives)


def _line(text: object) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [_mapping(item) for item in cast("list[object]", value)] if isinstance(value, list) else []
