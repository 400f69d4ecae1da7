"""Streebog by the RFC's own examples; GOST signatures of 512 bits; and, where a folder of them is named, the authority's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509

from pipeline.model.errors import SigningError
from pipeline.signing.cms import read_signature
from pipeline.signing.gost import _BASE, _Q, _times, check_gost, gost_key
from pipeline.signing.path import NotCheckable, path_fault
from pipeline.signing.signature import check_signature, check_timestamp, others_of, signer_certificate
from pipeline.signing.stamp_info import read_stamp_info
from pipeline.signing.streebog import streebog512
from tests.gost_signer import CURVE, DIGEST, GostKey, as_gost, der, signed_cms
from tests.integration.authority import Authority

AT = 1_790_000_000
M2 = "fbe2e5f0eee3c820fbeafaebef20fffbf0e1e0f0f520e0ed20e8ece0ebe5f0f2f120fff0eeec20f120faf2fee5e2202ce8f6f3ede220e8e6eee1e8f0f2d1202ce8f0f2e5e220e5d1"  # fmt: skip


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        ("323130393837363534333231303938373635343332313039383736353433323130393837363534333231303938373635343332313039383736353433323130",
         "486f64c1917879417fef082b3381a4e211c324f074654c38823a7b76f830ad00fa1fbae42b1285c0352f227524bc9ab16254288dd6863dccd5b9f54a1ad0541b"),
        (M2, "28fbc9bada033b1460642bdcddb90c3fb3e56c497ccd0f62b8a2ad4935e85f037613966de4ee00531ae60f3b5a47f8dae06915d5f2f194996fcabf2622e6881e"),
    ],
    ids=["example 1", "example 2"],
)  # fmt: skip
def test_streebog_gives_the_digests_of_rfc_6986(message: str, digest: str) -> None:
    """Sections 10.1.1 and 10.2.1; the RFC writes the most significant byte first."""
    assert streebog512(bytes.fromhex(message)[::-1])[::-1].hex() == digest


def test_the_base_point_has_the_order_of_the_curve() -> None:
    assert _times(_Q, _BASE) is None and _times(_Q + 1, _BASE) == _BASE


@pytest.fixture(scope="module")
def pki() -> tuple[x509.Certificate, x509.Certificate, x509.Certificate, GostKey]:
    """A root, an authority below it, a signer below that; and the signer's key. All of GOST."""
    root, middle, mine = GostKey(), GostKey(), GostKey()
    above = Authority("НЕГІЗГІ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (GOST)")
    below = Authority("ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (GOST)")
    below.certificate = above._make("ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (GOST)", below.key.public_key(), above.certificate, is_authority=True)
    leaf = below.issue("ТЕСТОВ ТЕСТ", Authority().key, unit="BIN123456789021")
    return as_gost(above.certificate, root, root), as_gost(below.certificate, middle, root), as_gost(leaf, mine, middle), mine


Pki = tuple[x509.Certificate, x509.Certificate, x509.Certificate, GostKey]


def test_a_signature_holds_over_its_very_bytes_by_its_own_key_alone(pki: Pki) -> None:
    _, middle, signer, key = pki
    made = signed_cms(b"report", signer, key, AT, middle)
    parts = read_signature(made)
    check_signature(parts, b"report", signer_certificate(parts))
    with pytest.raises(SigningError, match="of other bytes"):
        check_signature(parts, b"Report", signer)
    other = read_signature(signed_cms(b"report", signer, GostKey(), AT))
    with pytest.raises(SigningError, match="does not verify with its certificate's key"):
        check_signature(other, b"report", signer)
    spoilt = bytearray(made)
    spoilt[-1] ^= 1
    with pytest.raises(SigningError, match="does not verify"):
        check_signature(read_signature(bytes(spoilt)), b"report", signer)


def test_signatures_written_in_another_order_of_bytes_do_not_hold(pki: Pki) -> None:
    _, _, signer, key = pki
    point = gost_key(signer)
    assert point is not None
    made = key.sign(b"x")
    check_gost(point, b"x", made)
    for wrong in (made[::-1], made[64:] + made[:64], made[:64][::-1] + made[64:][::-1], bytes(128), b"\xff" * 128, made[:-1], b""):
        with pytest.raises(SigningError):
            check_gost(point, b"x", wrong)


def test_a_digest_renamed_gains_nothing(pki: Pki) -> None:
    _, _, signer, key = pki
    for name in ("608648016503040201", "2a830e030a010302", "2a830e030a010301"):
        renamed = read_signature(signed_cms(b"report", signer, key, AT, digest=bytes.fromhex(name)))
        with pytest.raises(SigningError, match="with which no key of its certificate's kind signs") as said:
            check_signature(renamed, b"report", signer)
        assert not isinstance(said.value, NotCheckable)


def test_keys_of_other_kinds_are_not_computed_and_a_key_off_the_curve_is_none(pki: Pki) -> None:
    root, _, signer, key = pki
    assert gost_key(Authority().certificate) is None
    assert gost_key(as_gost(signer, key, key, curve=CURVE[:-1] + b"\x02")) is None, "another set of parameters"
    false = GostKey()
    false.octets = b"\1" + false.octets[1:] if false.octets[0] != 1 else b"\2" + false.octets[1:]
    with pytest.raises(SigningError, match="no point of its curve"):
        gost_key(as_gost(root, false, key))


def test_a_path_of_gost_links_leads_to_a_trusted_root_link_by_link(pki: Pki) -> None:
    root, middle, signer, _ = pki
    assert path_fault(signer, [middle], [root], AT) == ""
    assert "no trusted certificate leads" in path_fault(signer, [], [root], AT)
    assert "no trusted certificate leads" in path_fault(
        signer, [middle], [Authority("НЕГІЗГІ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (GOST)").certificate], AT
    )
    forged = as_gost(middle, GostKey(), GostKey())
    assert "no trusted certificate leads" in path_fault(signer, [forged], [root], AT), "the same names, another key"
    assert "no trusted certificate leads" in path_fault(signer, [middle], [root], 4_800_000_000), "after all of them ended"
    own = as_gost(Authority().issue("x", Authority().key), GostKey(), GostKey())
    assert "no trusted certificate leads" in path_fault(own, [signer], [root], AT), "a signer's certificate may issue nothing"


@pytest.mark.parametrize("nonce", [b"\x6c\xd7", b"\xf3\x60", b""])
def test_a_time_stamp_with_a_negative_nonce_is_read(nonce: bytes) -> None:
    imprint = der(0x30, der(0x30, der(0x06, DIGEST), der(0x05)), der(0x04, b"\1" * 64))
    made = der(0x30, der(2, b"\1"), der(6, b"\x2a\x83"), imprint, der(2, b"\x3e"), der(0x18, b"20260720090807Z"), *([der(2, nonce)] if nonce else []))  # fmt: skip
    info = read_stamp_info(made)
    assert (info.algorithm, info.imprint, info.at) == ("1.2.398.3.10.1.3.3", b"\1" * 64, 1_784_538_487)
    assert info.nonce == (int.from_bytes(nonce, "big", signed=True) if nonce else None)
    for wrong in (b"", made[:-3], der(0x30), made.replace(b"20260720090807Z", b"20261320090807Z"), made + b"\0"):
        with pytest.raises(SigningError):
            read_stamp_info(wrong)


@pytest.mark.skipif(
    "ESEP_GOST_VECTORS" not in os.environ, reason="ESEP_GOST_VECTORS names no folder of signatures made by the authority's own library"
)
def test_signatures_made_by_the_authoritys_own_library_hold() -> None:
    """A folder with NAME_detached.der, NAME_document.txt, nca_gost2022_test.cer, root_test_gost_2022.cer (docs/adr/0017 says where they are published)."""
    folder = Path(os.environ["ESEP_GOST_VECTORS"])
    root, nca = (load(folder / name) for name in ("root_test_gost_2022.cer", "nca_gost2022_test.cer"))
    signatures = sorted(folder.glob("*_detached.der"))
    assert signatures
    for path in signatures:
        parts = read_signature(path.read_bytes())
        content = path.with_name(path.name.replace("_detached.der", "_document.txt")).read_bytes()
        signer = signer_certificate(parts)
        check_signature(parts, content, signer)
        with pytest.raises(SigningError, match="of other bytes"):
            check_signature(parts, content + b" ", signer)
        assert parts.timestamp is not None and parts.signed_at is not None
        assert abs(check_timestamp(parts.timestamp, parts.signature).at - parts.signed_at) < 5
        assert path_fault(signer, [*others_of(parts), nca], [root], parts.signed_at) == ""


def load(path: Path) -> x509.Certificate:
    content = path.read_bytes()
    return x509.load_pem_x509_certificate(content) if content.startswith(b"-----") else x509.load_der_x509_certificate(content)
