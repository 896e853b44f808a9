"""The command `doxie`: send, look at processes and brands, compare routes, or run the sandbox.

Exit codes: 0 all is well; 1 some rows were not sent for good, something is in doubt, or a file of routes differs;
2 wrong usage; 3 the credentials were refused; 4 a job has stopped and can be resumed; 5 the service refused it, or the
service, a database or the disk failed; 130 broken off by Ctrl-C; 141 nobody read the output any more.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from doxie_async import route_commands, send_command
from doxie_async.command_client import CommandClient
from doxie_async.errors import ConfigError
from doxie_async.models.admin import Brand, Collection, Process, ProcessRecord
from doxie_async.routes import Routes
from klickdoxie_core import Pages, bulk, command_line
from klickdoxie_core.command_line import BROKEN_OFF, OK

_PROGRAM: Final = "doxie"
_ENVIRONMENT = """\
The environment says where to and who: DOXIE_TENANT; to send, DOXIE_API_USER and DOXIE_API_PASSWORD; for all else
DOXIE_TOKEN, or DOXIE_CLIENT_ID, DOXIE_CLIENT_SECRET and DOXIE_TOKEN_URL. DOXIE_OPENAPI names an OpenAPI file with the
real routes, DOXIE_BASE_URL another service, such as the sandbox."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; None takes the arguments of the process."""
    return command_line.run(_parser(), arguments, text_of=send_command.text_of)


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
        _write_new(file, f"{answer.text}\n")
    return answer.code


def _write_new(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        # It may be the vendor's own document.
        raise ConfigError(f"{file} is there already, and is not replaced; give another name") from None


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description="Work with a tenant of Doxie MPM.", epilog=_ENVIRONMENT)
    command_line.add_version(parser)
    parser.set_defaults(interrupted=BROKEN_OFF)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    send = commands.add_parser("send", help="send a mail, or start something else, for an event", epilog=_ENVIRONMENT)
    send_command.add_arguments(send)
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
