"""The ids of a contact list while it comes in: a million of them in the memory of one piece."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import cast

from klickdoxie_core import ShapeError
from klickdoxie_core.convert import Undecodable, loose_int, parse_json
from klickdoxie_core.hooks import read_together, traits_of
from klickdoxie_core.json_bytes import parse_numbers

# What may stand before the first id: plain values of other names, and the name of the list.
_HEAD = re.compile(
    rb"""\s* (?: \[ | \{ \s* (?: "[^"\\]*" \s* : \s* (?: "[^"\\]*" | [-\w.]+ ) \s* , \s* )*? (?:
        "(?P<name> subscriberIds | subscribers )" \s* : \s* [\[{] | (?= "[0-9]+" \s* : ) ) )""",
    re.VERBOSE,
)
_BOM = b"\xef\xbb\xbf"
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_MAX_DIGITS = 18
_MAX_HEAD = 4096
_MAX_REST = 1024 * 1024


class IdStream:
    """Takes an answer of List Contacts in pieces and gives the ids out as they come.

    It knows every form of the list: bare, under `subscribers` or `subscriberIds`, and as an object with numbers for
    names. What is left of the answer in the end, with the ids taken out, is again such an answer: it has the cursor,
    and all of what was in another form.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._around = b""
        self._name: str | None = None
        self._closing: bytes | None = None
        self._inside = False
        self._comma = False

    def feed(self, chunk: bytes) -> list[int]:
        """The ids that are complete by now.

        Raises:
            Undecodable: Something else than ids is there.
        """
        if self._closing is None and len(self._rest) < _MAX_HEAD:
            self._rest += chunk
            self._look_for_ids()
        else:
            self._rest += chunk
        if self._inside:
            return self._complete_ids()
        if len(self._rest) > _MAX_REST:
            raise _misshapen("expected a list of contact ids")
        return []

    def finish(self) -> object:
        """The answer as decoded JSON, without the ids that were given out.

        Raises:
            Undecodable: The answer is cut short or no strict JSON.
        """
        if self._inside:
            raise _no_json()
        left = parse_json(self._around + bytes(self._rest))
        if self._name == "subscribers" and "subscriberIds" in cast("Mapping[str, object]", left):
            raise _misshapen("expected one list of contact ids, got two")
        return left

    def _look_for_ids(self) -> None:
        start = len(_BOM) if self._rest.startswith(_BOM) else 0
        head = _HEAD.match(self._rest, start, _MAX_HEAD)
        if head is not None:
            self._around = bytes(head[0])
            self._name = None if head["name"] is None else head["name"].decode()
            self._closing = b"]" if self._around.endswith(b"[") else b"}"
            self._inside = True
            del self._rest[: head.end()]

    def _complete_ids(self) -> list[int]:
        closing = cast("bytes", self._closing)
        end = self._rest.find(closing)
        if end < 0:
            # The last one may go on in the next chunk.
            end = self._rest.rfind(b",")
            if len(self._rest) - end > _MAX_HEAD:
                raise _misshapen("expected a list of contact ids")
            if end < 0:
                return []
            piece, self._comma, before = bytes(memoryview(self._rest)[:end]), True, True
        else:
            self._inside, before = False, self._comma
            piece, self._around = bytes(memoryview(self._rest)[:end]), self._around + closing
        del self._rest[: end + 1]
        if not piece.strip():
            if before:
                raise _no_json()
            return []
        return _from_list(piece) if closing == b"]" else _from_map(piece)


class IdCollector(IdStream):
    """Puts the ids into a list, which it empties first, instead of giving them out."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        ids.clear()
        self._ids = ids

    def feed(self, chunk: bytes) -> list[int]:
        """Take a piece; nothing is given out."""
        self._ids += super().feed(chunk)
        return []


def _from_list(piece: bytes) -> list[int]:
    """The ids between commas, each a number or digits in quotes."""
    close = piece.strip().replace(b", ", b",") if b" " in piece else piece
    bare = close.translate(None, b'"')
    try:
        numbers = parse_numbers(bare)
    except ValueError:
        numbers = None
    if numbers and (_all_alike(close) or _all_sound(close, bare, numbers)):
        return numbers
    return _ids(cast("list[object]", parse_json(b"[%b]" % piece)))


def _all_alike(piece: bytes) -> bool:
    """Whether all have as many digits as the first and are in quotes: one comparison instead of a look at each."""
    length = piece.find(b'"', 1) - 1
    one = b'"%b",' % (b"0" * length)
    return 0 < length <= _MAX_DIGITS and piece.translate(_ZEROS) + b"," == one * ((len(piece) + 1) // len(one))


def _all_sound(piece: bytes, bare: bytes, numbers: list[int]) -> bool:
    """Whether there is nothing but digits, not too many of them, and each in quotes or none."""
    if bare.translate(None, b"0123456789,") or max(numbers) >= 10**_MAX_DIGITS:
        return False
    quotes = len(piece) - len(bare)
    between = piece.count(b'","') == len(numbers) - 1 and piece.startswith(b'"') and piece.endswith(b'"')
    return not quotes or (quotes == 2 * len(numbers) and between)


def _from_map(piece: bytes) -> list[int]:
    by_name = cast("Mapping[str, object]", parse_json(b"{%b}" % piece))
    if not all(name.isdigit() for name in by_name):
        raise _misshapen("expected a list of contact ids")
    return _ids(by_name.values())


def _ids(values: Collection[object]) -> list[int]:
    together = read_together(traits_of(loose_int), values)
    try:
        return (
            [loose_int(each, int) for each in values] if together is None else list(cast("Collection[int]", together))
        )
    except ShapeError as error:
        raise _misshapen(str(error)) from None


def _misshapen(said: str) -> Undecodable:
    return Undecodable("the answer has another shape than promised", (f"{said} @ $",))


def _no_json() -> Undecodable:
    return Undecodable("the answer is not strict JSON")
