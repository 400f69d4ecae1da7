"""The console as it is served: over TLS, to its own names alone, behind a proxy, refused where it would not be safe, and within `esep run`."""

from __future__ import annotations

import re
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry

from pipeline.app.accounts import set_user
from pipeline.app.app import App
from pipeline.cli.frame import settings_of
from pipeline.model.errors import SettingsError
from pipeline.service.health import Health, Limits
from pipeline.service.metrics import Metrics
from pipeline.web.headers import HEADERS
from pipeline.web.serve import console_loop, serve_console

from .consoles import Clock
from .example_month import esep


@pytest.fixture
def settings(blocked: Path, tmp_path: Path) -> Iterator[Callable[[str], App]]:
    """An `App` over the recorded month with a `[console]` table."""
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    held: list[App] = []

    def made(table: str) -> App:
        config = var / "esep.toml"
        text = config.read_text().split("\n[console]")[0]
        config.write_text(f"{text}\n[console]\n{table}\n")
        held.append(App(settings_of(config), Clock()))
        return held[-1]

    yield made
    for app in held:
        app.__exit__()


def certificate(folder: Path) -> None:
    """A certificate of `localhost` by its own key."""
    key, name = generate_private_key(SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(at - timedelta(days=1)).not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )  # fmt: skip
    (folder / "console.crt").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "console.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "console.key").chmod(0o600)


def test_over_tls_browsers_are_told_to_come_by_tls_alone(settings: Callable[[str], App], tmp_path: Path) -> None:
    certificate(tmp_path / "var")
    app = settings('certificate = "console.crt"\nkey = "console.key"')
    with serve_console(app, "localhost:0") as (address, _):
        trusted = ssl.create_default_context(cafile=str(tmp_path / "var" / "console.crt"))
        answer = httpx.get(f"{address}/sign-in", verify=trusted)
    assert address.startswith("https://localhost:") and answer.status_code == 200
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "server" not in answer.headers


def test_other_names_are_not_answered_to(settings: Callable[[str], App]) -> None:
    with serve_console(settings('address = "https://esep.example.kz"'), "localhost:0") as (address, parts):
        assert address == "https://esep.example.kz"
        here = f"http://localhost:{next(_ports())}"
        assert parts.is_tls is False
        for host, status in (("esep.example.kz", 200), ("localhost:1", 200), ("elsewhere.kz", 400), ("localhost.elsewhere.kz", 400)):
            answer = httpx.get(f"{here}/sign-in", headers={"host": host})
            assert answer.status_code == status, host
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def _ports() -> Iterator[int]:
    """The ports that this process listens on, by the console's threads."""
    inodes = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            yield int(fields[1].rpartition(":")[2], 16)


def test_beyond_this_machine_it_wants_tls_and_a_user(settings: Callable[[str], App], tmp_path: Path) -> None:
    app = settings("")
    with pytest.raises(SettingsError) as refused, serve_console(app, "0.0.0.0:0"):
        pass
    assert "needs TLS" in str(refused.value) and "there is no user yet" in str(refused.value)
    set_user(app, "Admin", ["admin"], by="Tests", reason="for a test")
    certificate(tmp_path / "var")
    safe = settings('certificate = "console.crt"\nkey = "console.key"')
    with serve_console(safe, "0.0.0.0:0") as (address, _):
        assert address.startswith("https://0.0.0.0:")


def test_a_proxy_is_believed_from_its_address_alone(settings: Callable[[str], App]) -> None:
    for proxies, is_in in (('["127.0.0.1", "::1"]', True), ('["10.9.9.9"]', False)):
        app = settings(f'proxy_header = "X-Forwarded-User"\nproxies = {proxies}')
        set_user(app, "Оператор", ["operator"], by="Tests", reason="for a test")
        with serve_console(app, "127.0.0.1:0") as (address, _):
            named = {"X-Forwarded-User": "Оператор".encode(), "x-forwarded-for": "10.9.9.9"}
            answer = httpx.get(f"{address}/sign-in", headers=named)
            assert (answer.status_code == 303) is is_in
            if is_in:
                cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
                assert httpx.get(f"{address}/account", headers=named | cookie).status_code == 200
                assert httpx.get(f"{address}/account", headers=cookie).status_code == 303, "the proxy no longer says so"
            assert httpx.get(f"{address}/sign-in", headers={"X-Forwarded-User": "Nobody"}).status_code == 200


def test_within_esep_run_it_is_a_loop_with_a_heartbeat(settings: Callable[[str], App]) -> None:
    app = settings('listen = "localhost:0"')
    metrics = Metrics(CollectorRegistry(), Health(lambda: 0.0, Limits(1.0, 1, 1)), version="1")
    stop = threading.Event()
    running = threading.Thread(target=console_loop(app, metrics), args=(stop,))
    running.start()
    try:
        for _ in range(200):
            ports = list(_ports())
            if ports and httpx.get(f"http://localhost:{ports[0]}/sign-in").status_code == 200:
                break
            stop.wait(0.05)
        else:
            pytest.fail("the console was not served")
    finally:
        stop.set()
        running.join()


def test_users_by_command(settings: Callable[[str], App], capsys: pytest.CaptureFixture[str]) -> None:
    config = settings("").settings.var / "esep.toml"
    assert esep("users", "set", "A. Person", "--role", "nonsense", "--reason", "joins us", "--by", "Holder", "--config", config) == 2
    assert "say one of viewer, operator, approver, admin" in capsys.readouterr().err
    assert (
        esep(
            "users",
            "set",
            "A. Person",
            "--role",
            "admin",
            "--role",
            "operator",
            "--reason",
            "joins us",
            "--by",
            "Holder",
            "--config",
            config,
        )
        == 0
    )
    said = capsys.readouterr().out
    invitation = re.search(r"http://localhost:8450(/invitation/[\w-]+)", said.replace("\n", ""))
    assert invitation is not None and "admin, operator" in said
    assert esep("users", "list", "--json", "--config", config) == 0
    assert '"user":"A. Person"' in capsys.readouterr().out.replace('": "', '":"')
    app = settings("")
    with serve_console(app, "localhost:0") as (address, _):
        answer = httpx.post(address + invitation[1], data={"password": "correct horse battery"})
        assert answer.status_code == 303
    assert esep("users", "revoke", "A. Person", "--reason", "left us", "--by", "Holder", "--config", config) == 2, "the last admin"
    assert esep("users", "invite", "Nobody", "--config", config) == 2
