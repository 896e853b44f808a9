"""The command `doxie`: send, look at processes and brands, compare routes, or run the sandbox.

Exit codes: 0 all is well; 1 it failed, or a file of routes differs; 2 wrong usage; 3 the credentials were refused;
130 broken off by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, NoReturn, cast
from urllib.parse import urlsplit

import anyio
import attrs

from doxie_async import route_commands
from doxie_async.client import Doxie
from doxie_async.models.admin import Brand, Collection, Process, ProcessRecord
from doxie_async.models.record import Record
from doxie_async.models.sending import MailResult, ProcessResult
from doxie_async.resources.sending import Payload
from doxie_async.routes import Auth, Routes
from klickdoxie_core import Pages, SdkError, bulk, command_line
from klickdoxie_core.command_line import BROKEN_OFF, FAILED, OK, complain

_PROGRAM: Final = "doxie"
_ENVIRONMENT = """\
The environment says where to and who: DOXIE_TENANT; to send, DOXIE_API_USER and DOXIE_API_PASSWORD; for all else
DOXIE_TOKEN, or DOXIE_CLIENT_ID, DOXIE_CLIENT_SECRET and DOXIE_TOKEN_URL. DOXIE_OPENAPI names an OpenAPI file with the
real routes, DOXIE_BASE_URL another service, such as the sandbox."""


class CommandClient(Doxie):
    """The client, but that it names variables where a credential is missing."""

    missing: ClassVar[Mapping[str, str]] = {
        Auth.API_USER: "this needs an API user: set DOXIE_API_USER and DOXIE_API_PASSWORD",
        Auth.ADMIN: "this needs an administrator: set DOXIE_TOKEN, or DOXIE_CLIENT_ID with DOXIE_CLIENT_SECRET and "
        "DOXIE_TOKEN_URL",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; None takes the arguments of the process."""
    return command_line.run(_parser(), arguments)


@attrs.frozen
class Sending:
    """One kind of event: how it is sent, and what is to be said when nobody knows whether it was."""

    send: Callable[[Doxie, str, Payload], Awaitable[Record]]
    in_doubt: str


_SENDINGS: Final[Mapping[str, Sending]] = {
    "mailer": Sending(lambda doxie, event, data: doxie.mailer.send(event, data), "the mail may have gone out"),
    "injector": Sending(
        lambda doxie, event, data: doxie.injector.create(event, data), "the injection may have been created"
    ),
    "survey": Sending(
        lambda doxie, event, data: doxie.surveys.create_inquiry(event, data), "the inquiry may have gone out"
    ),
    "qr-code": Sending(
        lambda doxie, event, data: doxie.qr_codes.create(event, data), "the QR code may have been created"
    ),
}


async def _send(options: argparse.Namespace) -> int:
    kind = _SENDINGS[options.kind]
    async with CommandClient.from_env() as doxie:
        try:
            result = await kind.send(doxie, options.event, options.data)
        except SdkError as error:
            if not error.maybe_applied:
                raise
            return _in_doubt(str(error), kind)
        except anyio.get_cancelled_exc_class():
            _in_doubt("broken off", kind)
            raise
    print(json.dumps(result.raw) if options.json else _sent_text(result))
    return OK


def _in_doubt(what: str, kind: Sending) -> int:
    return complain(_PROGRAM, f"{what}\n{kind.in_doubt}; it was NOT sent again", FAILED)


def _sent_text(result: Record) -> str:
    match result:
        case MailResult():
            mails, messages = _words(result.sent_email_templates), _words(result.sent_sms_templates)
            return f"process: {result.process_uuid}\ne-mail templates: {mails}\nSMS templates: {messages}"
        case ProcessResult():
            return f"process: {result.process_uuid}"
        case _:
            return json.dumps(result.raw, indent=2, ensure_ascii=False)


def _words(templates: Sequence[object]) -> str:
    words = [name if isinstance(name, str) else json.dumps(name, ensure_ascii=False) for name in templates]
    return ", ".join(words) or "none"


async def _process(options: argparse.Namespace) -> int:
    async with CommandClient.from_env() as doxie:
        processes = doxie.admin.processes
        if options.cancel:
            await processes.cancel(options.uuid)
        process = await processes.get(options.uuid)

        async def count(collection: Collection) -> int:
            return await _count(processes.records(options.uuid, collection))

        async with bulk(count, Collection, concurrency=4) as outcomes:
            counts = {outcome.item: outcome.unwrap() async for outcome in outcomes}
    # In the order of the reference, not in which they came.
    _show_process(process, {name.value: counts[name] for name in Collection}, as_json=options.json)
    return OK


async def _count(records: Pages[ProcessRecord]) -> int:
    return sum([len(page.items) async for page in records.by_page()])


def _show_process(process: Process, counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"uuid": process.uuid, "status": process.status, "counts": counts}))
        return
    rows = [[name.replace("_", " "), f"{count:>6}"] for name, count in counts.items()]
    print(f"process: {process.uuid}\nstatus: {process.status}\n\n{command_line.columns(rows)}")


async def _brands(options: argparse.Namespace) -> int:
    async with CommandClient.from_env() as doxie:
        brands = await doxie.admin.brands.all().to_list()
    if options.json:
        print(json.dumps([{"id": it.id, "name": it.name, "mail_provider": it.mail_provider} for it in brands]))
    else:
        print(command_line.columns([["id", "name", "mail provider"], *map(_brand_row, brands)]))
    return OK


def _brand_row(brand: Brand) -> list[str]:
    return ["" if value is None else str(value) for value in (brand.id, brand.name, brand.mail_provider)]


async def _show_routes(_: argparse.Namespace) -> int:
    return _tell(route_commands.show(Routes.from_env()))


async def _check_routes(options: argparse.Namespace) -> int:
    return _tell(route_commands.check(Routes.from_env(), options.file))


async def _export_routes(options: argparse.Namespace) -> int:
    return _tell(route_commands.export(Routes.from_env()), options.file)


def _tell(answer: route_commands.Answer, file: Path | None = None) -> int:
    if file is None:
        print(answer.text)
    else:
        # Never over an existing file: it may be the vendor's own document.
        with file.open("x", encoding="utf-8") as opened:
            opened.write(f"{answer.text}\n")
    return answer.code


async def _sandbox(options: argparse.Namespace) -> int:
    from doxie_async.sandbox import Sandbox  # noqa: PLC0415 - for this command only

    box = Sandbox()
    path = urlsplit(box.token_url).path
    account = {"DOXIE_TENANT": box.tenant, "DOXIE_API_USER": box.username, "DOXIE_API_PASSWORD": box.password}
    admin = {"DOXIE_CLIENT_ID": box.client_id, "DOXIE_CLIENT_SECRET": box.client_secret}
    await command_line.serve(
        box,
        "Doxie",
        options.port,
        lambda url: {"DOXIE_BASE_URL": url, **account, **admin, "DOXIE_TOKEN_URL": url + path},
    )
    return OK


def _json_object(path: str) -> dict[str, object]:
    """The object in a file, or on the standard input for a dash; the type of an argument."""
    name = "the standard input" if path == "-" else path
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        payload: object = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_unique)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{name} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{name} is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise argparse.ArgumentTypeError(f"{name} must hold a JSON object")
    return cast("dict[str, object]", payload)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no value")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description="Work with a tenant of Doxie MPM.", epilog=_ENVIRONMENT)
    command_line.add_version(parser)
    parser.set_defaults(interrupted=BROKEN_OFF)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_send(commands.add_parser("send", help="send a mail, or start something else, for an event"))
    process = commands.add_parser("process", help="show how far a process is", epilog=_ENVIRONMENT)
    process.add_argument("uuid", metavar="UUID", help="as it was told when the process was started")
    process.add_argument("--cancel", action="store_true", help="cancel it first")
    process.set_defaults(command=_process)
    brands = commands.add_parser("brands", help="list the brands", epilog=_ENVIRONMENT)
    brands.set_defaults(command=_brands)
    for one in (process, brands):
        one.add_argument("--json", action="store_true", help="print one line of JSON")
    sandbox = commands.add_parser("sandbox", help="run a fake Doxie on this machine, for trying things out")
    sandbox.add_argument(
        "--port", type=command_line.port_number, default=8082, help="0 takes a free one (default: %(default)s)"
    )
    sandbox.set_defaults(command=_sandbox, interrupted=OK)
    _add_routes(commands.add_parser("routes", help="where each operation is called"))
    return parser


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.description = "Send once. When the answer is lost, nothing is sent again, and the exit code is 1."
    parser.epilog = _ENVIRONMENT
    parser.set_defaults(command=_send)
    parser.add_argument("kind", choices=_SENDINGS, help="the kind of the event")
    parser.add_argument("event", metavar="EVENT", help="the slug of the event")
    parser.add_argument(
        "--data", required=True, type=_json_object, metavar="FILE", help="a JSON object in UTF-8; - reads it from here"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as one line of JSON")


def _add_routes(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The public reference tells no routes, so they are assumed until DOXIE_OPENAPI names the OpenAPI file."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="the table in use")
    show.set_defaults(command=_show_routes)
    check = commands.add_parser("check", help="the table in use against an OpenAPI file; exits with 1 on a difference")
    check.add_argument("file", metavar="FILE", type=Path, help="JSON, or YAML with the extra yaml")
    check.set_defaults(command=_check_routes)
    export = commands.add_parser("export", help="write the table in use as JSON")
    export.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a new file; without it, to standard output")
    export.set_defaults(command=_export_routes)
