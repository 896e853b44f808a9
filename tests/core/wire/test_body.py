"""Reading bodies: one layer of gzip, a bound that holds while unpacking, and nothing damaged taken for whole."""

import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import TypeVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klickdoxie_core.wire.base import Failure, WireFailure
from klickdoxie_core.wire.body import read_body, unpacked

T = TypeVar("T")

TEXT = "Straße; Köln; 5 €".encode("cp1252") * 50
PACKED = gzip.compress(TEXT)
MIB = 1024 * 1024


def run(coroutine: Coroutine[object, None, T]) -> T:
    """The result of a coroutine that never waits."""
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return cast("T", done.value.value)


class Chunks:
    """Chunks to read, and how many of them were."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self.taken += 1
            yield chunk


def read(chunks: Iterable[bytes] | Chunks, encoding: str = "", limit: int = 4 * MIB) -> bytes:
    """The body of these chunks, with status 200."""
    source = chunks if isinstance(chunks, Chunks) else Chunks(chunks)
    return run(read_body(aiter(source), encoding=encoding, limit=limit, status=200))


def in_pieces(data: bytes, size: int) -> list[bytes]:
    """The data in chunks of this many bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_a_plain_body_comes_as_it_is(encoding: str) -> None:
    """No byte is changed, whatever its alphabet."""
    assert read(in_pieces(TEXT, 7), encoding) == TEXT
    assert read([], encoding) == b""


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " x-gzip "])
@pytest.mark.parametrize("size", [1, 7, len(PACKED)])
def test_a_gzip_body_is_unpacked(encoding: str, size: int) -> None:
    """It does not matter where the network cuts it."""
    assert read(in_pieces(PACKED, size), encoding) == TEXT


@settings(deadline=None, max_examples=50)
@given(body=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2100), max_size=10))
def test_any_body_survives_any_cuts(body: bytes, cuts: list[int]) -> None:
    """What was packed comes out, byte for byte."""
    packed = gzip.compress(body)
    edges = [0, *sorted(cut for cut in cuts if cut < len(packed)), len(packed)]
    chunks = [packed[start:end] for start, end in itertools.pairwise(edges) if start < end]
    assert read(chunks, "gzip") == body


def test_no_byte_at_all_is_an_empty_body_in_any_encoding() -> None:
    """A 204 or 304 may name an encoding and have nothing to unpack."""
    assert read([], "gzip") == b""


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_body_of_exactly_the_limit_is_read(encoding: str) -> None:
    """The limit is the last size that is allowed."""
    chunks = in_pieces(PACKED if encoding else TEXT, 50)
    assert read(chunks, encoding, limit=len(TEXT)) == TEXT


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("size", [10, 10_000])
def test_a_body_beyond_the_limit_is_refused(encoding: str, size: int) -> None:
    """One byte too many is enough; the failure knows the status and that the request was sent."""
    chunks = in_pieces(PACKED if encoding else TEXT, size)
    with pytest.raises(WireFailure) as caught:
        read(chunks, encoding, limit=len(TEXT) - 1)
    failure = caught.value
    assert (failure.failure, failure.sent, failure.status) == (Failure.TOO_LARGE, True, 200)
    assert failure.detail == f"more than {len(TEXT) - 1} bytes"


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_endless_body_is_left_at_the_limit(encoding: str) -> None:
    """What comes after the limit is not read."""
    data = gzip.compress(bytes(20 * MIB), 1) if encoding else bytes(20 * MIB)
    chunks = Chunks(in_pieces(data, 1024))
    with pytest.raises(WireFailure, match="TOO_LARGE"):
        read(chunks, encoding, limit=MIB)
    assert chunks.taken <= MIB // 1024 + 1


def bomb(layers: int) -> bytes:
    """1 GiB of zeros in gzip; a further layer packs it again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = b"\x1f\x8b\x08" + bytes(7)
    # Each block stands for itself, so that one of them is all that has to be computed.
    start = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    data = head + start * 1024
    for _ in range(layers - 1):
        data = gzip.compress(data)
    return data


@pytest.mark.parametrize(
    ("layers", "encoding", "failure"),
    [
        (1, "gzip", Failure.TOO_LARGE),
        (2, "gzip, gzip", Failure.ENCODING),
    ],
)
@pytest.mark.parametrize("size", [64 * 1024, 16 * MIB])
def test_a_bomb_of_one_gibibyte_costs_no_more_than_the_limit(
    layers: int, encoding: str, failure: Failure, size: int
) -> None:
    """Whether it comes in network chunks or at once, memory grows by a few limits and not by a gibibyte."""
    chunks = in_pieces(bomb(layers), size)
    tracemalloc.start()
    try:
        with pytest.raises(WireFailure) as caught:
            read(chunks, encoding, limit=4 * MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.failure is failure
    assert peak < 16 * MIB


def test_a_second_layer_that_nobody_declared_stays_packed() -> None:
    """Only what the header names is unpacked, and that once."""
    inner = bomb(1)
    assert read([gzip.compress(inner)], "gzip") == inner


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([PACKED[:-1]], id="one byte short"),
        pytest.param([PACKED[:-8]], id="without its trailer"),
        pytest.param([PACKED[:20]], id="cut early"),
        pytest.param([PACKED[:5]], id="cut in the header"),
        pytest.param([PACKED + b"x"], id="junk after it"),
        pytest.param([PACKED, b"x"], id="junk in the next chunk"),
        pytest.param([PACKED, b"x", b"y"], id="junk in two chunks"),
        pytest.param([PACKED + PACKED], id="a second member"),
        pytest.param([PACKED[:-8] + bytes(4) + PACKED[-4:]], id="wrong checksum"),
        pytest.param([PACKED[:-4] + bytes(4)], id="wrong length"),
        pytest.param([TEXT], id="not packed at all"),
        pytest.param([zlib.compress(TEXT)], id="zlib"),
        pytest.param([PACKED[:30] + b"\xff\xff\xff\xff" + PACKED[34:]], id="damaged inside"),
    ],
)
def test_damaged_gzip_is_refused(chunks: list[bytes]) -> None:
    """What does not unpack to its end, or goes on after it, is no answer."""
    with pytest.raises(WireFailure) as caught:
        read(chunks, "gzip")
    assert (caught.value.failure, caught.value.sent, caught.value.status) == (Failure.ENCODING, True, 200)


@pytest.mark.parametrize(
    "encoding",
    [
        "br",
        "deflate",
        "zstd",
        "compress",
        "gzip, gzip",
        "gzip,deflate",
        "identity, gzip",
        ", ".join(["gzip"] * 50),
        "ä",
    ],
)
def test_other_and_stacked_encodings_are_refused_unread(encoding: str) -> None:
    """Nothing is unpacked that was not asked for, and the server's word is not repeated."""
    chunks = Chunks([PACKED])
    with pytest.raises(WireFailure) as caught:
        read(chunks, encoding)
    assert (caught.value.failure, caught.value.sent, chunks.taken) == (Failure.ENCODING, True, 0)
    assert encoding not in caught.value.detail.removeprefix("only one layer of gzip is accepted")


def test_no_piece_is_empty() -> None:
    """An empty one would be taken for the end."""
    chunks, pieces = Chunks([b"", b"S\xc3", b"", b"\xbcd", b""]), list[bytes]()

    async def collect() -> None:
        pieces.extend([piece async for piece in unpacked(aiter(chunks), encoding="", limit=9, status=200)])

    run(collect())
    assert pieces == [b"S\xc3", b"\xbcd"]


def test_what_has_come_is_given_out_before_more_is_read() -> None:
    """Whoever reads as it comes does not wait for the next chunk to hear of this one."""
    chunks, sizes = Chunks([gzip.compress(bytes(64 * 1024 + 100))[:-8], b""]), list[int]()

    async def collect() -> None:
        async for piece in unpacked(aiter(chunks), encoding="gzip", limit=4 * MIB, status=200):
            assert chunks.taken == 1
            sizes.append(len(piece))

    with pytest.raises(WireFailure, match="cut short"):
        run(collect())
    assert sum(sizes) == 64 * 1024 + 100
