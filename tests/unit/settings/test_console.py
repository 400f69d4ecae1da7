"""What the table `[console]` must be together: TLS beyond this machine, whole addresses, proxies that are addresses."""

import pytest

from pipeline.settings.console import ConsoleSettings, console_faults, is_loopback


@pytest.mark.parametrize(("listen", "is_ours"), [("localhost:1", True), ("127.0.0.1:1", True), ("127.9.0.1:1", True), ("[::1]:1", True), ("0.0.0.0:1", False), ("10.0.0.1:1", False), ("[::]:1", False), ("localhost.example.kz:1", False), ("esep.kz:1", False)])  # fmt: skip
def test_what_is_reached_from_this_machine_alone(listen: str, is_ours: bool) -> None:
    assert is_loopback(listen) is is_ours


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        ({"listen": "localhost:8450", "address": "https://esep.example.kz"}, ""),
        ({"listen": "0.0.0.0:8450"}, "needs TLS"),
        ({"certificate": "a.crt"}, "a certificate needs its key"),
        ({"key": "a.key"}, "a certificate needs its key"),
        ({"listen": "0.0.0.0:8450", "certificate": "a.crt", "key": "a.key"}, ""),
        ({"address": "http://esep.example.kz"}, "must be like https://"),
        ({"address": "https://esep.example.kz/console"}, "must be like https://"),
        ({"address": "https://user@esep.example.kz"}, "must be like https://"),
        ({"address": "https://esep.example.kz:x"}, "must be like https://"),
        ({"address": "http://localhost:8450"}, ""),
        ({"proxies": ["proxy.example.kz"]}, "is no IP address"),
    ],
)
def test_faults_across_keys(given: dict[str, object], said: str) -> None:
    faults = "; ".join(console_faults(ConsoleSettings.model_validate(given)))
    assert said in faults if said else not faults
