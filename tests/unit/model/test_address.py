"""Addresses, parsed once by one function: what is judged is what is connected to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.address import Address, host_of, is_this_machine, parse_address, parse_server


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://files.example.kz", Address(True, "files.example.kz", 443, "/")),
        ("HTTPS://Files.Example.KZ:8443/A?b=C", Address(True, "files.example.kz", 8443, "/A?b=C")),
        ("hTTp://LOCALHOST/x", Address(False, "localhost", 80, "/x")),
        ("http://[::1]:9/", Address(False, "::1", 9, "/")),
        ("http://127.0.0.1", Address(False, "127.0.0.1", 80, "/")),
    ],
)
def test_the_scheme_and_host_count_in_any_case(text: str, found: Address) -> None:
    assert parse_address(text, carries_secret=True) == found


@pytest.mark.parametrize(
    "text",
    [
        "HTTP://files.example.kz", "http://files.example.kz", "http://127.0.0.1.example.kz", "http://localhost.example.kz", "http://0.0.0.0", "http://10.0.0.1",
        "http://2130706433", "http://[::ffff:10.0.0.1]", "http://127.1",
    ],
)  # fmt: skip
def test_a_secret_travels_by_tls_or_stays_on_this_machine_judged_by_the_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"a secret|no host|host or port"):
        parse_address(text, carries_secret=True)


@pytest.mark.parametrize(
    "text",
    [
        "", "files.example.kz", "ftp://files.example.kz", "https:files.example.kz", "https:/files.example.kz", "//files.example.kz", "https://", "https:///x",
        "https://user:word@files.example.kz", "https://user@files.example.kz", "https://files.example.kz@evil.example", "https://files.example.kz\\@evil.example",
        "https://files.example.kz#x", "https://files.example.kz:0", "https://files.example.kz:99999", "https://files.example.kz:port", "https://fi les.example.kz",
        "https://files.example.kz/\r\nHost: evil", "https://файлы.kz", "https://[::1", "https://[fe80::1%25eth0]", "https://a..b", "https://-a", " https://a.kz", "https://a.kz\n",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_address(text, carries_secret=False)
    assert "word@" not in str(refused.value) and "evil" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused_and_one_with_a_secret_is_never_in_the_clear_elsewhere(text: str) -> None:
    for candidate in (text, f"http://{text}", f"https://{text}"):
        try:
            found = parse_address(candidate, carries_secret=True)
        except ValueError:
            continue
        assert found.is_tls or is_this_machine(found.host)
        assert parse_address(f"{found.name}{found.path}", carries_secret=True) == found, "what it is called is what it is"


@pytest.mark.parametrize(
    ("text", "found"), [("Broker1:9092", ("broker1", 9092)), ("[::1]:9", ("::1", 9)), ("127.0.0.1:9092", ("127.0.0.1", 9092))]
)
def test_a_server_is_a_host_and_a_port(text: str, found: tuple[str, int]) -> None:
    assert parse_server(text) == found


@pytest.mark.parametrize("text", ["", "broker", "broker:", ":9092", "broker:0", "broker:99999", "user@broker:1", "broker:9092/x", "br oker:1", "broker:9092?x", "a..b:1", "http://broker:1"])  # fmt: skip
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_server(text)


def test_this_machine_is_known_by_its_very_name() -> None:
    assert all(map(is_this_machine, ("localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1")))
    assert not any(map(is_this_machine, ("localhost.kz", "0.0.0.0", "127.0.0.1.kz", "", "10.0.0.1")))
    assert host_of("A.kz") == "a.kz"
