"""What the doctor finds out, what it says about it, and what it never says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError

import pytest

from klickdoxie_core import Clock
from klicktipp_async import KlickTipp, SessionLogin
from klicktipp_async.commands import doctor
from klicktipp_async.commands.doctor import Check, State, add_doctor, encrypted, environment, network, plan
from klicktipp_async.models.account import Account
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import NAMES, Ran, Run

DATE = "Wed, 01 Jan 2025 12:00:00 GMT"
NOON = 1735732800.0


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of the machine that tests run on is not the matter."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def found(ended: Ran) -> Mapping[str, tuple[str, str]]:
    """State and sentence of each check."""
    return {check["check"]: (check["state"], check["said"]) for check in json.loads(ended.out)}


def test_a_healthy_account_passes_every_check(box: Sandbox, run: Run) -> None:
    """Each check is told as one line, and the account is only read."""
    box.add_tag("VIP")
    ended = run(add_doctor)
    assert ended.code == 0
    assert [line.split()[:2] for line in ended.out.splitlines()] == [
        ["ok", "versions"], ["ok", "proxies"], ["ok", "environment"], ["ok", "TLS"], ["ok", "credentials"],
        ["ok", "clock"], ["ok", "plan"], ["ok", "data"], ["ok", "tags"], ["ok", "opt-in"],
    ]  # fmt: skip
    assert "tier 20" in ended.out
    assert "16 can be listed" in ended.out
    assert "2 can be listed, the default one among them" in ended.out
    assert not box.contacts


def test_machines_get_a_list_of_objects(box: Sandbox, run: Run) -> None:
    """One line of JSON with the same checks."""
    ended = run(add_doctor, "--json")
    assert ended.out.count("\n") == 1
    checks = found(ended)
    assert checks["environment"] == ("ok", "KLICKTIPP_USERNAME, KLICKTIPP_PASSWORD, KLICKTIPP_BASE_URL set")
    assert checks["TLS"] == ("ok", "requests stay on this machine")
    assert checks["tags"] == ("ok", "0 can be listed")


def test_missing_credentials_end_the_search(run: Run) -> None:
    """The variables to set are named; nothing is sent."""
    ended = run(add_doctor, "--json")
    assert ended.code == 1
    state, said = found(ended)["environment"]
    assert (state, "KLICKTIPP_USERNAME, KLICKTIPP_PASSWORD" in said) == ("failed", True)
    assert "credentials" not in found(ended)


def test_a_key_that_cannot_be_one_ends_the_search(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with it is said, and not what it is."""
    for name in ("USERNAME", "DEVELOPER_KEY", "CUSTOMER_KEY"):
        monkeypatch.setenv(f"KLICKTIPP_{name}", "kanarienvogel")
    ended = run(add_doctor, "--json")
    assert (ended.code, found(ended)["environment"][0]) == (1, "failed")
    assert "kanarienvogel" not in ended.out + ended.err


def test_a_wrong_password_has_an_exit_code(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried once and shown nowhere; the clock is looked at all the same."""
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "kanarienvogel")
    ended = run(add_doctor, "--json")
    assert ended.code == 3
    state, said = found(ended)["credentials"]
    assert (state, "check KLICKTIPP_USERNAME and KLICKTIPP_PASSWORD" in said) == ("failed", True)
    assert list(found(ended))[-2:] == ["credentials", "clock"]
    assert box.count() == 1


def test_keys_without_permission_hint_at_the_plan(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 403 is as good as a refusal, and plans are a usual cause."""
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "")
    monkeypatch.setenv("KLICKTIPP_DEVELOPER_KEY", "00")
    monkeypatch.setenv("KLICKTIPP_CUSTOMER_KEY", "kanarienvogel")
    ended = run(add_doctor, "--json")
    assert ended.code == 3
    assert "Premium or higher, for key pairs Enterprise" in found(ended)["credentials"][1]


def test_a_session_without_permission_is_refused_too(box: Sandbox, run: Run) -> None:
    """The login works, and then the plan says no; the other checks go on."""
    box.fail("Get Account", every=1, status=403, body=["API Zugriff verweigert"])
    ended = run(add_doctor, "--json")
    assert ended.code == 3
    assert {name: state for name, (state, _) in found(ended).items() if state != "ok"} == {"plan": "failed"}


@pytest.mark.parametrize(
    ("operation", "name"),
    [("List Data Fields", "data fields"), ("List Tags", "tags"), ("List Opt-in Processes", "opt-in processes")],
)
def test_checks_go_on_after_a_failure(box: Sandbox, run: Run, operation: str, name: str) -> None:
    """Every list is tried on its own."""
    box.fail(operation, every=1, status=406, body={"error": 999})
    ended = run(add_doctor, "--json")
    assert ended.code == 1
    assert [check for check, (state, _) in found(ended).items() if state == "failed"] == [name]
    assert "999" in found(ended)[name][1]
    assert len(found(ended)) == 10


def test_a_service_that_is_not_there_is_told(run: Run, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """The advice is about the network; without an answer there is no clock to compare."""
    nowhere = KlickTipp(SessionLogin("konto", "geheim"), base_url="http://127.0.0.1:9", clock=clock)
    monkeypatch.setattr(doctor, "client_from", lambda _: nowhere)
    monkeypatch.setenv("KLICKTIPP_BASE_URL", "http://127.0.0.1:9")
    ended = run(add_doctor, "--json")
    assert ended.code == 1
    assert "check the base URL, the network" in found(ended)["credentials"][1]
    assert list(found(ended))[-1] == "credentials"


def test_a_service_that_is_another_one_is_told(box: Sandbox, run: Run) -> None:
    """An answer that makes no sense leads to the base URL."""
    box.fail("Login", every=1, status=200, body="<html>willkommen</html>")
    assert "check the base URL" in found(run(add_doctor, "--json"))["credentials"][1]


@pytest.mark.parametrize("body", [None, "No route found for GET https://api/account"])
def test_a_plan_that_is_not_told_is_a_warning(box: Sandbox, run: Run, body: str | None) -> None:
    """Nothing else depends on it; the vendor does not promise that there is such an operation."""
    box.fail("Get Account", every=1, status=404, body=body)
    ended = run(add_doctor, "--json")
    assert (ended.code, found(ended)["plan"][0]) == (0, "warning")


def test_a_plan_that_makes_no_sense_is_a_failure(box: Sandbox, run: Run) -> None:
    """The operation is there, and says something else."""
    box.fail("Get Account", every=1, status=200, body="<html>willkommen</html>")
    ended = run(add_doctor, "--json")
    assert (ended.code, found(ended)["plan"][0]) == (1, "failed")


def test_an_account_without_its_default_process_is_warned(box: Sandbox, run: Run) -> None:
    """`--opt-in default` would not work there."""
    box.fail("List Opt-in Processes", status=200, body={"5": "Single-Opt-In"})
    assert found(run(add_doctor, "--json"))["opt-in processes"] == (
        "warning",
        "1 can be listed, but the default one is missing; name a process with --opt-in ID",
    )


def test_a_password_never_travels_in_the_clear(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without https nothing is sent to another machine."""
    monkeypatch.setenv("KLICKTIPP_USERNAME", "konto")
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "geheim")
    monkeypatch.setenv("KLICKTIPP_BASE_URL", "http://api.klicktipp.invalid")
    ended = run(add_doctor, "--json")
    assert ended.code == 1
    assert list(found(ended))[-1] == "TLS"


@pytest.mark.parametrize("arguments", [[], ["--json"]])
@pytest.mark.parametrize("refused", [True, False])
def test_nothing_personal_and_no_secret_is_told(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], refused: bool
) -> None:
    """User name, password, the account's address and name, and what a proxy variable holds, stay where they are."""
    monkeypatch.setenv("HTTPS_PROXY", "http://nutzer:kanarienvogel@proxy.example.com")
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "kanarienvogel" if refused else box.password)
    ended = run(add_doctor, *arguments)
    # Umlauts are escaped in JSON.
    told = str(json.loads(ended.out)) if arguments else ended.out
    for canary in (box.username, box.password, "kanarienvogel", "example.com", "Käthe", "Müller"):
        assert canary not in told + ended.err
    assert "HTTPS_PROXY" in told


def test_https_is_safe() -> None:
    """The host is named."""
    assert encrypted("https://api.klicktipp.com:443/api") == Check(
        name="TLS", said="requests go to api.klicktipp.com by https"
    )


@pytest.mark.parametrize(
    ("base_url", "state"),
    [
        ("http://127.0.0.1:8081", State.OK),
        ("http://[::1]:8081", State.OK),
        ("http://localhost:8081", State.OK),
        ("http://127.0.0.1.example.com", State.FAILED),
        ("http://192.168.0.1", State.FAILED),
    ],
)
def test_http_is_safe_on_this_machine_only(base_url: str, state: State) -> None:
    """Loopback is known by its address or its name."""
    assert encrypted(base_url).state is state


@pytest.mark.parametrize(
    ("date", "now", "state", "said"),
    [
        (DATE, NOON, State.OK, "within half a minute"),
        (DATE, NOON + 30, State.OK, "within half a minute"),
        (DATE, NOON + 31, State.WARNING, "31 s ahead of the service's"),
        (DATE, NOON - 3600, State.WARNING, "3,600 s behind the service's"),
        ("Wed, 01 Jan 2025 12:00:00", NOON, State.OK, "within half a minute"),
        ("", NOON, State.WARNING, "does not tell the time"),
        ("gestern", NOON, State.WARNING, "does not tell the time"),
        ("Wed, 01 Jan 99999999999999999999 12:00:00 GMT", NOON, State.WARNING, "does not tell the time"),
    ],
)
def test_clocks_may_be_half_a_minute_apart(date: str, now: float, state: State, said: str) -> None:
    """Beyond that the direction is told."""
    (check,) = doctor.clock(date, now)
    assert (check.state, said in check.said) == (state, True)


def test_without_an_answer_there_is_no_clock() -> None:
    """The failure to connect has been told already."""
    assert not doctor.clock(None, NOON)


def test_variables_of_the_network_are_named_only() -> None:
    """In either case, and without what they hold; empty ones do not count."""
    check = network({"https_proxy": "http://nutzer:geheim@proxy", "SSL_CERT_FILE": "/etc/ca.pem", "HTTP_PROXY": ""})
    assert (check.state, check.said.partition(";")[0]) == (
        State.WARNING,
        "HTTPS_PROXY, SSL_CERT_FILE set, but not used: commands take no proxy and no certificates from the environment",
    )
    assert network({}) == Check(name="proxies", said="the environment names none")


def test_white_space_around_a_credential_is_a_warning() -> None:
    """It comes with copying; the variable is named, the value is not shown."""
    check = environment({"KLICKTIPP_USERNAME": "konto", "KLICKTIPP_PASSWORD": "geheim\n"})
    assert (check.state, check.said) == (
        State.WARNING,
        "KLICKTIPP_PASSWORD begins or ends with white space; set it again without",
    )


@pytest.mark.parametrize(
    ("account", "state", "said"),
    [
        (Account(tier=10000, status=1), State.OK, "tier 10000"),
        (Account(extra={"customerData": {"product": "Premium"}}), State.OK, "product Premium"),
        (Account(extra={"customerData": [], "access": []}), State.OK, "the account tells neither product nor tier"),
        (
            Account(tier=20, status=0),
            State.WARNING,
            "tier 20; the account is not active, look into KlickTipp",
        ),
        (
            Account(tier=20, status=1, extra={"access": {"api": False}}),
            State.WARNING,
            "tier 20; without access to the API, which takes a plan of Premium or higher",
        ),
    ],
)
def test_the_plan_is_told_as_far_as_it_is_known(account: Account, state: State, said: str) -> None:
    """Product, tier and rights stand in an answer that the vendor does not document."""
    assert (plan(account).state, plan(account).said) == (state, said)


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client also runs from its sources."""

    def version(name: str) -> str:
        if name == "klickdoxie":
            raise PackageNotFoundError
        return "1.2.3"

    monkeypatch.setattr(doctor, "version", version)
    assert doctor.versions().said.startswith("klickdoxie of unknown version, httpx 1.2.3, anyio 1.2.3, Python 3.")


def test_every_variable_of_the_client_is_looked_at() -> None:
    """The list here is that of the environment which the tests empty."""
    assert set(doctor._VARIABLES) == {f"KLICKTIPP_{name}" for name in NAMES} <= set(os.environ)
