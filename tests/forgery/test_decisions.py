"""Decisions in a bundle frozen under a root key: each forgery of a waiver, a label or a key is caught and named (ADR 14)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pipeline.app.open_keys import read_key
from pipeline.log.events import decode, encode
from pipeline.log.events.keys import KeyGranted, KeysRoot
from pipeline.log.events.months import Waived
from pipeline.log.signatures import event_digest, public_of, running_digest, sign, unpack
from pipeline.model.errors import SettingsError
from pipeline.verify.decisions import load_root_key
from pipeline.verify.finding import judge
from tests.integration.conftest import frozen  # noqa: F401 - a fixture
from tests.integration.example_month import OUTFLOW

from .forger import manifest_of, own_copy, resealed, verdict_on, verified

DECISIONS = "evidence/decisions.jsonl"
Lines = list[dict[str, str]]


@pytest.fixture
def bundle(signed: Path, tmp_path: Path) -> Path:
    return own_copy(signed / "months" / "2026-10" / "v1", tmp_path)


def lines_of(bundle: Path) -> Lines:
    return [json.loads(line) for line in (bundle / DECISIONS).read_text().splitlines()]


def forged(bundle: Path, change: Callable[[Lines], Lines], manifest: Callable[[Any], Any] = lambda value: value) -> tuple[set[str], str]:
    (bundle / DECISIONS).write_text("".join(json.dumps(line) + "\n" for line in change(lines_of(bundle))))
    failing, said, code = verdict_on(resealed(bundle, manifest), left_out=("documents",))
    assert code == 8
    return failing, said


def key_of(signed: Path, name: str) -> Ed25519PrivateKey:
    return read_key(signed.parent / "root.pem" if name == "root" else signed / "keys" / f"{name}.pem", None)


def line_by(private: Ed25519PrivateKey, event: Any, lines: Lines) -> dict[str, str]:
    """An event that somebody signs to stand right after the others."""
    last = unpack(base64.b64decode(lines[-1]["signature"]))
    before = running_digest("months", lines[-1]["key"], last.signer, last.number, last.previous, last.digests)
    new = encode(event)
    signature = sign(private, "months", lines[-1]["key"], last.number + 1, before, [event_digest(new)])
    return {**lines[-1], "id": new.id, "value": new.value.decode(), "signature": base64.b64encode(signature.pack()).decode()}


def another(by: str = "A. Person") -> Waived:
    return Waived(
        id="waive:forged", month="2026-10", code="unknown-outflow", ref="ab:1", facts=["1"], by=by, reason="forged", at=1_900_000_000
    )


def test_the_honest_bundle_proves_its_decisions(bundle: Path) -> None:
    failing, said, code = verdict_on(bundle)
    assert (failing, said, code) == (set(), "", 0)
    manifest = manifest_of(bundle)
    (months,) = [stream for name, stream in manifest["keys"]["streams"].items() if name.startswith("months/")]
    assert [key["owner"] for key in sorted(months["keys"], key=lambda key: key["since"])] == ["C. Left", "A. Person"]
    assert months["is_in_force"] and months["refused"] == 0


def test_a_waiver_in_somebodys_name_that_they_never_signed(bundle: Path) -> None:
    def invent(manifest: Any) -> None:
        manifest["waivers"][0]["reason"] = "forged"

    failing, said = forged(bundle, lambda lines: lines, invent)
    assert "decisions" in failing
    assert f"the waiver of unknown-outflow {OUTFLOW} by 'A. Person' is not signed by their key" in said


def test_a_waiver_that_was_changed_after_it_was_signed(bundle: Path) -> None:
    failing, said = forged(
        bundle, lambda lines: [*lines[:-1], {**lines[-1], "value": lines[-1]["value"].replace("refund pending", "forged")}]
    )
    assert "decisions" in failing and "it was changed after it was signed" in said


def test_a_waiver_signed_by_a_strangers_key(bundle: Path) -> None:
    failing, said = forged(bundle, lambda lines: [*lines, line_by(Ed25519PrivateKey.generate(), another(), lines)])
    assert "decisions" in failing and "the root key granted nothing to the key" in said


def test_a_waiver_signed_by_a_key_that_was_revoked(bundle: Path, signed: Path) -> None:
    failing, said = forged(bundle, lambda lines: [*lines, line_by(key_of(signed, "left"), another("C. Left"), lines)])
    assert "decisions" in failing and "the key of 'C. Left' was revoked before" in said


def test_a_waiver_signed_in_anothers_name(bundle: Path, signed: Path) -> None:
    failing, said = forged(bundle, lambda lines: [*lines, line_by(key_of(signed, "person"), another("B. Head"), lines)])
    assert "decisions" in failing and "in the name of 'B. Head', and signed by the key of 'A. Person'" in said


def test_a_key_that_another_key_granted(bundle: Path, signed: Path) -> None:
    stranger = Ed25519PrivateKey.generate()
    grant = KeyGranted(
        id="key-granted:x",
        key=public_of(stranger).hex(),
        owner="A. Person",
        roles=["decide"],
        by="B. Head",
        reason="forged",
        at=1_900_000_000,
    )
    failing, said = forged(bundle, lambda lines: [*lines, line_by(key_of(signed, "person"), grant, lines)])
    assert "decisions" in failing and "stands among the decisions" in said


def test_a_revocation_left_out_of_the_bundle_alone(bundle: Path) -> None:
    """Left out of the file and kept in the manifest; whoever leaves it out of both has to answer for the signer's word, which the list of that name says."""
    failing, said = forged(bundle, lambda lines: [line for line in lines if '"key-revoked"' not in line["value"]])
    assert "decisions" in failing and "are not those that the root key granted and revoked" in said


def test_a_root_key_put_in_the_place_of_the_pools(bundle: Path) -> None:
    def own(manifest: Any) -> None:
        manifest["keys"]["root"] = "1" * 64

    failing, said = forged(bundle, lambda lines: lines, own)
    assert "decisions" in failing and "never says that it counts" in said


def rooted_anew(bundle: Path) -> None:
    """All of the pool's decisions under a forger's own keys: the same words, a root key of the forger's, everything signed and resealed."""
    root, person = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    name, owner = public_of(root).hex(), public_of(person).hex()
    lines = lines_of(bundle)
    waived = next(decode(line["value"].encode()) for line in lines if '"type":"waive"' in line["value"])
    said = [
        (root, KeysRoot(id=f"keys-root:{name}", root=name, by="B. Head", reason="as decided", at=1)),
        (root, KeyGranted(id="key-granted:1", key=owner, owner="A. Person", roles=["decide"], by="B. Head", reason="as decided", at=2)),
        (person, waived),
    ]
    new, before = [], bytes(32)
    for number, (private, event) in enumerate(said, start=1):
        encoded = encode(event)
        signature = sign(private, "months", lines[0]["key"], number, before, [event_digest(encoded)])
        before = running_digest("months", lines[0]["key"], signature.signer, number, before, [event_digest(encoded)])
        new.append(
            {**lines[0], "id": encoded.id, "value": encoded.value.decode(), "signature": base64.b64encode(signature.pack()).decode()}
        )
    (bundle / DECISIONS).write_text("".join(json.dumps(line) + "\n" for line in new))

    def own(manifest: Any) -> None:
        manifest["keys"]["root"] = name
        for stream, told in manifest["keys"]["streams"].items():
            if stream.startswith("months/"):
                told["keys"] = [{**told["keys"][-1], "key": owner, "owner": "A. Person", "since": 2, "until": None}]

    resealed(bundle, own)


def test_every_decision_under_a_root_key_of_the_forgers_own(bundle: Path, tmp_path: Path) -> None:
    """Without the pin it holds, and the root key is on the signer's word; with it the bundle is refused by name."""
    pools = manifest_of(bundle)["keys"]["root"]
    assert verdict_on(bundle, root_key=pools) == (set(), "", 0)
    rooted_anew(bundle)
    forgers = manifest_of(bundle)["keys"]["root"]
    failing, said, code = verdict_on(bundle, left_out=("documents",))
    assert (failing, said, code) == (set(), "", 0), "nothing in the bundle shows whose root key it is"
    words = judge(verified(bundle, left_out=("documents",))).on_signers_word
    assert f"the root key as the manifest says: {forgers}; --root-key pins it" in words
    failing, said, code = verdict_on(bundle, root_key=pools, left_out=("documents",))
    assert (failing, code) == ({"decisions"}, 8)
    assert f"the bundle is of the root key {forgers}, not of {pools}, which is asked for" in said


def test_a_bundle_without_a_root_key_where_one_is_asked_for(frozen: Path) -> None:  # noqa: F811 - the fixture
    failing, said, code = verdict_on(frozen / "months" / "2026-10" / "v1", root_key="ab" * 32)
    assert (failing, code) == ({"decisions"}, 8) and f"names no root key, and {'ab' * 32} is asked for" in said


def test_the_root_key_is_named_by_its_digits_or_by_a_file(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    name = public_of(private).hex()
    path = tmp_path / "root.pub"
    assert load_root_key(name) == load_root_key(name.upper()) == name
    path.write_text(f"{name}\n")
    assert load_root_key(str(path)) == name
    path.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert load_root_key(str(path)) == name
    for wrong in ("12ab", str(tmp_path / "absent")):
        with pytest.raises(SettingsError, match="64 hexadecimal digits"):
            load_root_key(wrong)
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SettingsError, match="is not 64"):
        load_root_key(str(path))


def test_the_proofs_of_decisions_left_out(bundle: Path) -> None:
    (bundle / DECISIONS).unlink()
    failing, said, code = verdict_on(resealed(bundle), left_out=("documents",))
    assert code == 8 and "decisions" in failing and "is missing" in said


def test_the_keys_left_out_and_the_proofs_kept(bundle: Path) -> None:
    def without(manifest: Any) -> None:
        del manifest["keys"]

    failing, said = forged(bundle, lambda lines: lines, without)
    assert "decisions" in failing and "stands in a bundle that names no root key" in said
