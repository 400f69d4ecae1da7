"""What an auditor gives the verifier: folders that are none, copies that a mail system or a file browser has touched, files of another kind. Each is told in the reader's words, with an exit code that says nothing false of the bundle."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.texts import LANGUAGES, texts
from pipeline.verify import bundle as checks
from pipeline.verify.bundle import CHECKS, verify_bundle
from pipeline.verify.program import main
from tests.forgery.conftest import bundle, honest  # noqa: F401 - fixtures

LIBRARIES = ("cryptography.io", "extra_columns", "MalformedFraming", "os error", "codec", "Expecting", "Errno", "polars")
"""Words that only a library's messages have."""


Said = Callable[..., tuple[int, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """The program's exit code and its words on stderr, in a language."""

    def run(*arguments: object, language: str = "en") -> tuple[int, str]:
        monkeypatch.setenv("ESEP_LANG", language)
        capsys.readouterr()
        code = main([str(one) for one in arguments])
        return code, capsys.readouterr().err

    return run


def files_check(folder: Path) -> str:
    """What the check of the files alone says; "" where it holds."""
    (found,) = verify_bundle(folder, left_out=[name for name, _ in CHECKS[1:]])
    return "" if found.holds else found.detail


def test_what_is_no_bundles_folder_is_a_wrong_argument_and_no_false_bundle(said: Said, bundle: Path, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    archive = Path(shutil.make_archive(str(tmp_path / "october"), "zip", bundle.parent))
    month = tmp_path / "unpacked" / "2026-10"
    shutil.copytree(bundle, month / "v1")
    for given, words in (
        (archive, "a ZIP archive: unpack it"),
        (bundle / "manifest.json", "give the folder that it lies in"),
        (bundle / "report.pdf", "Not a directory; a bundle is a folder like"),
        (tmp_path / "nowhere", "No such file or directory; a bundle is a folder like"),
        (month, f"give one of them, such as {month / 'v1'}"),
        (month.parent, f"give one of them, such as {month / 'v1'}"),
    ):
        code, told = said(given)
        assert code == 2 and words in told, told
    (bundle / "manifest.json").unlink()
    assert said(bundle)[0] == 8, "a folder that lost its manifest is no wrong argument"


@pytest.mark.parametrize("option", ["--trust", "--headers"])
@pytest.mark.parametrize("content", [b"", b"%PDF-1.3\n", bytes(range(256)), "miner,сумма\n".encode(), "текст".encode("utf-16"), None])
def test_a_wrong_file_beside_a_bundle_is_told_in_our_words(
    said: Said,
    bundle: Path,  # noqa: F811 - the fixture
    tmp_path: Path,
    option: str,
    content: bytes | None,
) -> None:
    path = tmp_path / "given"
    path.mkdir() if content is None else path.write_bytes(content)
    for language in LANGUAGES:
        code, told = said(bundle, option, path, language=language)
        assert code == 2 and str(path) in told and option in told, told
        assert not [word for word in LIBRARIES if word in told], told
    assert said(bundle, option, tmp_path / "nowhere")[0] == 2


def test_a_line_of_headers_that_is_none_is_named(said: Said, bundle: Path, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    path = tmp_path / "headers.csv"
    path.write_text(f"chain,height,hash,mediantime,header\nbitcoin,1,ab,1,{'00' * 80}\nbitcoin,2,ab\n")
    code, told = said(bundle, "--headers", path)
    assert code == 2 and "line 3 is none of a header" in told


def test_the_systems_words_are_said_in_the_readers_language(said: Said, tmp_path: Path) -> None:
    assert "нет такого файла или папки" in said(tmp_path / "nowhere", language="ru")[1]
    assert "мұндай файл немесе қалта жоқ" in said(tmp_path / "nowhere", language="kk")[1]
    (tmp_path / "manifest.json").write_text('{"schema": 3,')
    for language in LANGUAGES:
        code, told = said(tmp_path, language=language)
        assert code == 8 and "14" in told and not [word for word in LIBRARIES if word in told], told


def test_a_copy_that_a_file_browser_has_touched_says_which_files_are_none_of_the_bundle(bundle: Path) -> None:  # noqa: F811 - the fixture
    assert not files_check(bundle)
    for name in ("Thumbs.db", ".DS_Store", "evidence/._headers.csv"):
        (bundle / name).write_bytes(b"x")
        assert f"{name!r} is not in the manifest: Windows and macOS leave" in files_check(bundle)
        (bundle / name).unlink()


def test_a_copy_with_the_line_ends_of_windows_says_that_this_is_all(bundle: Path) -> None:  # noqa: F811 - the fixture
    for name in ("report.csv", "evidence/proofs.jsonl"):
        path = bundle / name
        honest_bytes = path.read_bytes()
        path.write_bytes(honest_bytes.replace(b"\n", b"\r\n"))
        assert f"{name} was changed: its line ends are Windows's" in files_check(bundle)
        path.write_bytes(honest_bytes.replace(b"\n", b"\r\n").replace(b"1", b"2", 1))
        assert f"{name} was changed" in files_check(bundle) and "Windows" not in files_check(bundle)
        path.write_bytes(honest_bytes)


def test_a_missing_file_is_named_without_a_librarys_class(bundle: Path) -> None:  # noqa: F811 - the fixture
    (bundle / "evidence" / "facts" / "payments.parquet").unlink()
    found = {check.name: check for check in verify_bundle(bundle, left_out=["documents"])}
    assert found["wallets"].detail == "can't be read: evidence/facts/payments.parquet: No such file or directory"


def test_a_disk_that_fails_says_nothing_of_the_bundle(said: Said, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    """The disk's error comes from where a file is read: a scratched disc can't be had here (tests/live/faulty_disk.py has one for whole processes)."""

    def fails(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(checks, "digest_of", fails)
    code, told = said(bundle)
    assert code == 12 and "Input/output error" in told


@pytest.mark.skipif(os.geteuid() == 0 and not hasattr(os, "seteuid"), reason="no other user can be taken here")
def test_a_file_that_this_user_may_not_read_says_nothing_of_the_bundle(said: Said, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    (bundle / "evidence" / "headers.csv").chmod(0)
    if os.geteuid() == 0:
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "headers.csv")  # root may read all
    code, told = said(bundle)
    assert code == 12 and "Permission denied" in told and "headers.csv" in told


def test_a_damaged_signature_or_stamp_is_told_in_the_readers_language(bundle: Path) -> None:  # noqa: F811 - the fixture
    (bundle / "manifest.json.p7s").write_bytes(b"0\x82\x05\x00cut off")
    (bundle / "manifest.json.ots").write_bytes(b"no proof")
    left_out = [name for name, _ in CHECKS if name not in ("signatures", "public time")]
    signature, stamp = verify_bundle(bundle, left_out=left_out)
    for language, words in (
        ("ru", ("не подпись в DER", "обрывается раньше времени")),
        ("kk", ("DER түріндегі", "тым ерте аяқталады")),
    ):
        tell = texts(language).tell
        assert words[0] in tell(signature.detail) and words[1] in tell(stamp.detail)
