"""Time stamps of a real authority (OpenSSL's) within our signatures, and signatures of a bundle as `esep verify` judges them."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from connectors.sign.pkcs12 import Pkcs12Signer
from connectors.sign.timestamp import TimestampAuthority
from pipeline.model.errors import SigningError
from pipeline.signing.cms import read_signature, with_timestamp
from pipeline.signing.path import NotCheckable
from pipeline.signing.signature import check_signature, check_timestamp, signer_certificate
from pipeline.verify.bundle import verify_bundle
from pipeline.verify.given import load_trusted
from pipeline.verify.signatures import check_signatures
from tests.gost_signer import GostKey, as_gost, signed_cms

from .authority import Authority, time_stamps
from .example_month import esep
from .test_signing import POOL_BIN

NOW = int(datetime(2026, 11, 15, tzinfo=UTC).timestamp())
FILES = {"manifest.json": b'{"month": "2026-10"}\n', "report.json": b'{"rows": []}\n'}
MANIFEST = {"header": {"bin": POOL_BIN}}
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on the machine to be the time stamp authority")


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority()


def signed(folder: Path, root: Authority, tsa_url: str | None = None, *, pool_bin: str = POOL_BIN, **key: object) -> Path:
    """A folder with both files and their signatures."""
    folder.mkdir(parents=True, exist_ok=True)
    root.write_p12(folder.with_suffix(".p12"), pool_bin, **key)
    stamp = TimestampAuthority(tsa_url).stamp if tsa_url else None
    made = Pkcs12Signer(folder.with_suffix(".p12"), None, pool_bin, stamp=stamp).sign(FILES, now=NOW)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
        (folder / f"{name}.p7s").write_bytes(made.by_file[name])
    return folder


@needs_openssl
def test_a_signature_is_stamped_by_a_real_authority_and_openssl_agrees(tmp_path: Path, root: Authority) -> None:
    with time_stamps(root, tmp_path / "tsa") as url:
        bundle = signed(tmp_path / "b", root, url)
    report = check_signatures(bundle, MANIFEST, [root.certificate])
    assert report.faults == [] and report.not_checked == ["whether a certificate was revoked"]
    assert len(report.proved) == 4 and "by its time stamp" in report.proved[0] and "chains end at trusted" in report.proved[1]
    (tmp_path / "root.pem").write_bytes(root.pem())
    parts = read_signature((bundle / "report.json.p7s").read_bytes())
    assert parts.timestamp is not None
    (tmp_path / "token").write_bytes(parts.timestamp)
    (tmp_path / "stamped").write_bytes(parts.signature)
    asks = (
        ["openssl", "ts", "-verify", "-data", "stamped", "-in", "token", "-token_in", "-CAfile", "root.pem"],
        ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "b/report.json.p7s", "-content", "b/report.json", "-CAfile", "root.pem",
         "-purpose", "any", "-out", "seen"],
    )  # fmt: skip
    for ask in asks:
        asked = subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True)
        assert asked.returncode == 0, asked.stderr


@needs_openssl
def test_a_signature_made_after_its_certificate_ended_is_seen(tmp_path: Path, root: Authority) -> None:
    """Our clock went wrong by days: the stamp, and the signing time of the library, tell."""
    ended = datetime(2026, 11, 20, tzinfo=UTC)
    if datetime.now(UTC) < ended:
        pytest.skip("the machine's clock is before the certificate's end")
    with time_stamps(root, tmp_path / "tsa") as url:
        stamped = signed(tmp_path / "stamped", root, url, ends=ended)
    plain = signed(tmp_path / "plain", root, ends=ended)
    for bundle in (stamped, plain):
        faults = check_signatures(bundle, MANIFEST).faults
        assert len(faults) == 2 and all("the signer's certificate had ended by" in fault for fault in faults)


@needs_openssl
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda reply: reply[:-1] + bytes([reply[-1] ^ 1]), "does not verify"),
        (lambda reply: b"<html>", "no answer of a time stamp authority"),
        (lambda reply: bytes.fromhex("30053003020102"), "the time stamp was refused"),
        (lambda reply: b"\0" * (1 << 21), "longer than 1048576 bytes"),
    ],
)
def test_an_authority_that_answers_wrongly_signs_nothing(tmp_path: Path, root: Authority, spoil, said: str) -> None:
    with time_stamps(root, tmp_path / "tsa", spoil=spoil) as url, pytest.raises(SigningError, match=said):
        signed(tmp_path / "b", root, url)
    assert not list((tmp_path / "b").glob("*.p7s"))


@needs_openssl
def test_a_stamp_of_another_question_is_refused(tmp_path: Path, root: Authority) -> None:
    kept: list[bytes] = []

    def repeat(reply: bytes) -> bytes:
        kept.append(reply)
        return kept[0]

    with time_stamps(root, tmp_path / "tsa", spoil=repeat) as url:
        authority = TimestampAuthority(url)
        token = authority.stamp(b"signature")
        with pytest.raises(SigningError, match="another question"):
            authority.stamp(b"signature")
    check_timestamp(token, b"signature")
    with pytest.raises(SigningError, match="of another signature"):
        check_timestamp(token, b"other")


@needs_openssl
def test_a_certificate_that_is_not_for_time_stamps_stamps_nothing(tmp_path: Path, root: Authority) -> None:
    with time_stamps(root, tmp_path / "tsa", usage=ExtendedKeyUsageOID.CODE_SIGNING) as url, pytest.raises(SigningError, match="HTTP 500"):
        TimestampAuthority(url).stamp(b"signature")


def test_an_authority_that_is_away_is_named(root: Authority) -> None:
    with pytest.raises(SigningError, match="does not answer"):
        TimestampAuthority("http://127.0.0.1:1").stamp(b"signature")


def test_tampering_is_seen_and_what_is_not_checked_is_said(tmp_path: Path, root: Authority) -> None:
    bundle = signed(tmp_path / "b", root)
    report = check_signatures(bundle, MANIFEST)
    assert report.faults == [] and "by the signer's own word" in report.proved[0]
    assert report.not_checked == [
        "whether a certificate was revoked",
        "who issued the certificates: give the authorities' certificates with --trust",
    ]

    def faults(change, manifest=MANIFEST, trusted=()) -> str:
        copy = tmp_path / "copy"
        shutil.copytree(bundle, copy)
        try:
            change(copy)
            return "; ".join(check_signatures(copy, manifest, trusted).faults)
        finally:
            shutil.rmtree(copy)

    def spoilt(name: str, place: int):
        def change(copy: Path) -> None:
            content = bytearray((copy / name).read_bytes())
            content[place] ^= 1
            (copy / name).write_bytes(bytes(content))

        return change

    assert "manifest.json.p7s: the signature is of other bytes" in faults(spoilt("manifest.json", 3))
    assert "report.json.p7s: the signature does not verify" in faults(spoilt("report.json.p7s", -3))
    assert "missing beside" in faults(lambda copy: (copy / "report.json.p7s").unlink())
    assert "of other bytes" in faults(lambda copy: shutil.copy(copy / "report.json.p7s", copy / "manifest.json.p7s"))
    assert "not a DER signature" in faults(lambda copy: (copy / "report.json.p7s").write_bytes(b""))
    assert "does not name the pool's BIN" in faults(lambda _: None, {"header": {"bin": "060140000011"}})
    assert "no trusted certificate leads" in faults(lambda _: None, MANIFEST, [Authority("Another").certificate])
    # Signed by another key under the same names: the chain shows it.
    forged = signed(tmp_path / "forged", Authority())
    assert check_signatures(forged, MANIFEST).faults == []
    assert any("no trusted certificate leads" in fault for fault in check_signatures(forged, MANIFEST, [root.certificate]).faults)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert check_signatures(empty, MANIFEST).not_checked == ["not signed"]
    assert check_signatures(empty, MANIFEST, [root.certificate]).faults == ["not signed: --trust asks for the pool's signatures"]


def test_a_certificate_that_may_issue_nothing_is_no_link_of_a_chain(tmp_path: Path, root: Authority) -> None:
    """The pool's own key signs a certificate of its own making: basic constraints say that it may not."""
    below = Authority("Below")
    below.certificate = root.issue("Below", below.key)
    bundle = signed(tmp_path / "b", below)
    assert any(
        "no trusted certificate leads" in fault
        for fault in check_signatures(bundle, MANIFEST, [below.certificate, root.certificate]).faults
    )


SHA256, GOST = bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609" + "2a830e030a01030304")


def renamed(bundle: Path, *names: tuple[bytes, bytes]) -> Path:
    """The bundle with algorithms of its signatures renamed; their names are not signed."""
    for name in FILES:
        path = bundle / f"{name}.p7s"
        content = path.read_bytes()
        for before, after in names:
            assert before in content
            content = content.replace(before, after)
        path.write_bytes(content)
    return bundle


def test_a_key_of_a_kind_nobody_here_computes_is_said_to_be_unchecked(tmp_path: Path, root: Authority) -> None:
    """As GOST is: key and digest have other names. The rest is looked at all the same."""
    elliptic, gost_key = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a830e030a0101")
    bundle = renamed(signed(tmp_path / "b", root), (SHA256, GOST), (elliptic, gost_key))
    parts = read_signature((bundle / "report.json.p7s").read_bytes())
    with pytest.raises(NotCheckable):
        check_signature(parts, FILES["report.json"], signer_certificate(parts))
    report = check_signatures(bundle, MANIFEST)
    assert report.faults == [] and any("the signature of report.json itself" in text for text in report.undecided)
    assert all("signed over these very bytes" not in seen for seen in report.proved)


def test_a_digest_renamed_to_one_that_nobody_here_computes_gains_nothing(tmp_path: Path, root: Authority) -> None:
    report = check_signatures(renamed(signed(tmp_path / "b", root), (SHA256, GOST)), MANIFEST)
    assert len(report.faults) == 2 and all("names the digest" in fault for fault in report.faults)


def test_a_token_goes_in_whole_and_comes_out_again(tmp_path: Path, root: Authority) -> None:
    signature = (signed(tmp_path / "b", root) / "report.json.p7s").read_bytes()
    token = bytes.fromhex("3003020107")
    once = with_timestamp(signature, token)
    assert read_signature(once).timestamp == token and with_timestamp(once, token) == once
    assert read_signature(once).signature == read_signature(signature).signature


def test_verify_judges_the_signatures_of_a_bundle_under_the_auditors_roots(
    frozen: Path, tmp_path: Path, root: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "v1"
    shutil.copytree(frozen / "months" / "2026-10" / "v1", bundle)
    bundle.chmod(0o700)
    (check,) = [check for check in verify_bundle(bundle) if check.name == "signatures"]
    assert check.holds and check.detail == "" and check.not_checked == "not signed"
    pool_bin = json.loads((bundle / "manifest.json").read_bytes())["header"]["bin"]
    root.write_p12(tmp_path / "key.p12", pool_bin, key=ec.generate_private_key(ec.SECP384R1()))
    files = {name: (bundle / name).read_bytes() for name in FILES}
    for name, made in Pkcs12Signer(tmp_path / "key.p12", None, pool_bin).sign(files, now=NOW).by_file.items():
        (bundle / f"{name}.p7s").write_bytes(made)
    (tmp_path / "root.pem").write_bytes(root.pem())
    (tmp_path / "other.pem").write_bytes(Authority("Another").certificate.public_bytes(serialization.Encoding.PEM))
    capsys.readouterr()
    assert esep("verify", bundle, "--json", "--test-network") == 0
    told = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert "--trust" in told["signatures"]["not_checked"]
    assert esep("verify", bundle, "--trust", tmp_path / "root.pem", "--test-network") == 0
    assert "Not checked here:" in capsys.readouterr().out
    assert esep("verify", bundle, "--trust", tmp_path / "other.pem") == 8
    assert esep("verify", bundle, "--trust", tmp_path / "key.p12") == 2, "nothing is said of the bundle"
    with pytest.raises(Exception, match="PEM"):
        load_trusted(tmp_path / "missing.pem")


def test_gost_signatures_of_a_bundle_are_judged_up_to_a_gost_root(tmp_path: Path) -> None:
    top, mine = GostKey(), GostKey()
    above = Authority("НЕГІЗГІ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (GOST)")
    pool_bin = MANIFEST["header"]["bin"]
    signer = as_gost(above.issue("ТЕСТОВ ТЕСТ", ec.generate_private_key(ec.SECP256R1()), unit=f"BIN{pool_bin}"), mine, top)
    trusted = as_gost(above.certificate, top, top)
    bundle = tmp_path / "gost"
    bundle.mkdir()
    for name, content in FILES.items():
        (bundle / name).write_bytes(content)
        (bundle / f"{name}.p7s").write_bytes(signed_cms(content, signer, mine, NOW))
    report = check_signatures(bundle, MANIFEST, [trusted])
    assert (report.faults, report.undecided) == ([], [])
    assert any("report.json: signed over these very bytes" in seen for seen in report.proved)
    assert "report.json: chains end at trusted certificates" in report.proved
    assert any(
        "no trusted certificate leads" in fault
        for fault in check_signatures(bundle, MANIFEST, [as_gost(above.certificate, mine, mine)]).faults
    )
    (bundle / "report.json.p7s").write_bytes((bundle / "manifest.json.p7s").read_bytes())
    assert check_signatures(bundle, MANIFEST, [trusted]).faults == ["report.json.p7s: the signature is of other bytes"]
