"""After signing in nobody is led to another host."""

from __future__ import annotations

import pytest

from pipeline.web.return_to import local_page, sign_in_at


@pytest.mark.parametrize(
    "address",
    ["/months/2026-10/close", "/months/2026-10/form?search=%D0%9F%D0%90&sort=amount&down=true", "/bring-in/item?source=a&item=b%3A%2F%2Fc", "/users"],
)  # fmt: skip
def test_a_page_of_ours_is_gone_back_to(address: str) -> None:
    assert local_page(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "//elsewhere.kz", "///elsewhere.kz", "/\\elsewhere.kz", "\\\\elsewhere.kz", "https://elsewhere.kz/", "https:elsewhere.kz", "javascript:alert(1)",
        "elsewhere.kz", "", "/%2Felsewhere.kz", "/%2f%2felsewhere.kz", "/%5Celsewhere.kz", "/%255celsewhere.kz", "/%252Felsewhere.kz", "%2F%2Felsewhere.kz",
        "/%25252525255celsewhere.kz", "/./%2Felsewhere.kz", "/..//elsewhere.kz", "/months/%2e%2e//elsewhere.kz", "/months//elsewhere.kz", "/\t/elsewhere.kz",
        "/\n/elsewhere.kz", "/%09/elsewhere.kz", "/ /elsewhere.kz", "/months\r\nSet-Cookie: a=b", "/months#//elsewhere.kz", "/" + "a" * 3000, "/мес",
        "/sign-out", "/sign-in?then=/users", "/enter?link=x", "/invitation/x", "/live", "/api/v1/months", "/static/0/x", "/%73ign-out", "@elsewhere.kz",
    ],
)  # fmt: skip
def test_anything_else_leads_to_the_first_page(address: str) -> None:
    assert local_page(address) == "/"


def test_the_first_page_is_not_named() -> None:
    assert sign_in_at("/") == "/sign-in"
    assert sign_in_at("/months/2026-10/form?search=a&n=2") == "/sign-in?then=/months/2026-10/form%3Fsearch%3Da%26n%3D2"
