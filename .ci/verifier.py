"""Packs the verifier as one file (ADR 16): `python .ci/verifier.py dist/esep-verify.pyz`, or `make verifier`.

Enters: the rooms that `pipeline.verify` stands on, and the installed packages that it needs, as they lie in this environment (installed by hash from the
lock). Leaves: an executable zip for this kind of machine and this Python. The same environment gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import stat
import sys
import sysconfig
import zipfile
from importlib.metadata import Distribution, distribution, version
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from pipeline.texts import LANGUAGES, texts  # noqa: E402 - of this tree
from pipeline.verify.unpacking import SENTENCES  # noqa: E402

ROOMS = ("model", "texts", "chains", "log", "render", "enrich", "signing", "assess", "verify")
"""What `pipeline.verify` imports from; .importlinter's contracts keep the rest out."""
PACKAGES = (
    "babel", "cryptography", "embit", "eth-hash[pycryptodome]", "eth-keys", "eth-utils", "msgspec", "polars", "pyarrow", "pypdf", "reportlab", "rlp", "safe-pysha3",
    "tzdata", "xlsxwriter",
)  # fmt: skip
"""What these rooms import; what they need in turn is found."""
DATA_ONLY = {"bitcoinlib": "bitcoinlib/data/networks.json"}
"""A package of which one file is read, and no code."""
# Parts of packages that no check loads: they would be half of the file.
_LEFT_OUT = re.compile(
    r"\.\./|.*/__pycache__/|.*\.(pyx|pxd|pxi|h|hpp|c|cc|cpp|pyi|py\.typed)$|.*/tests?/"
    r"|pyarrow/(include|src)/|pyarrow/.*(flight|arrow_s3|orc|gandiva|s3fs|gcsfs|azurefs|hdfs|cuda)[^/]*\.so.*"
    r"|babel/locale-data/(?!(root|kk|ru|en)(_\w+)?\.dat$)"
)
_EPOCH = (1980, 1, 1, 0, 0, 0)

START = '''"""Esep's verifier in one file: unpacks itself into a temporary folder, runs there apart from all that is installed, and leaves nothing behind."""
import json, os, subprocess, sys, sysconfig, tempfile, zipfile, zlib

RUN = (
    "import sys, zoneinfo; sys.path.insert(0, sys.argv.pop(1)); zoneinfo.reset_tzpath(to=());"
    "from pipeline.verify.program import main; sys.exit(main())"
)


def refused(told, code, name, **values):
    """Say in the reader's language why nothing was checked; the exit code."""
    said = [os.environ.get(one, "").strip() for one in ("ESEP_LANG", "LC_ALL", "LC_MESSAGES", "LANG")]
    language = next((one for one in said if one), "").lower()[:2]
    words = told["words"].get(language if sys.version_info[0] > 2 else "en") or told["words"]["en"]
    sys.stderr.write("esep-verify: " + words[name].format(**values) + "\\n")
    return code


def start():
    with zipfile.ZipFile(sys.argv[0]) as packed:
        told = json.loads(packed.read("verifier.json"))
        found, platform = "%d.%d" % sys.version_info[:2], sysconfig.get_platform()
        if (found, platform) != (told["python"], told["platform"]):
            names = {"wanted": told["python"], "wanted_platform": told["platform"], "found": found, "found_platform": platform}
            return refused(told, 1, "other", **names)
        size = sum(one.file_size for one in packed.infolist()) >> 20
        try:
            with tempfile.TemporaryDirectory(prefix="esep-verifier-") as folder:
                if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
                    return refused(told, 12, "no programs", folder=tempfile.gettempdir())
                packed.extractall(folder, [name for name in packed.namelist() if name.startswith("lib/")])
                code = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", RUN, folder + "/lib"] + sys.argv[1:]).returncode
                return code if code >= 0 else refused(told, 128 - code, "ended", number=-code)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            return refused(told, 12, "damaged", file=sys.argv[0], error=error)
        except OSError as error:
            return refused(told, 12, "no place", folder=tempfile.gettempdir() if tempfile.tempdir else "/tmp", size=size, error=error.strerror or error)
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(start())
'''


def needed(names: tuple[str, ...]) -> dict[str, Distribution]:
    """These packages and all that they need in turn, by name."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if name not in found:
            found[name] = distribution(wanted.name)
        extras = wanted.extras or {""}
        for text in found[name].requires or []:
            inner = Requirement(text)
            is_wanted = inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras)
            if is_wanted and re.sub(r"[-_.]+", "-", inner.name).lower() not in found:
                waiting.append(inner)
    return found


def content_of(packages: dict[str, Distribution]) -> dict[str, Path]:
    """Every file by its name within the zip's `lib`."""
    files: dict[str, Path] = {}
    for package in packages.values():
        for file in package.files or []:
            if not _LEFT_OUT.match(str(file)):
                files[str(file)] = Path(str(package.locate_file(file)))
    for name, data in DATA_ONLY.items():
        package = distribution(name)
        files[data] = Path(str(package.locate_file(data)))
        metadata = next(file for file in package.files or [] if str(file).endswith(".dist-info/METADATA"))
        files[str(metadata)] = Path(str(package.locate_file(metadata)))
    for room in ROOMS:
        for path in sorted((ROOT / "pipeline" / room).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                files[str(path.relative_to(ROOT))] = path
    files["pipeline/config/networks.toml"] = ROOT / "config" / "networks.toml"
    files["pipeline/__init__.py"] = ROOT / "pipeline" / "__init__.py"
    return files


def pack(target: Path, level: int) -> None:
    """Write the file, executable."""
    target.parent.mkdir(parents=True, exist_ok=True)
    packages = needed(PACKAGES)
    files = content_of(packages)
    told = {
        "esep": version("esep"),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "platform": sysconfig.get_platform(),
        "packages": {name: package.version for name, package in sorted(packages.items())},
        "words": {language: {name: texts(language).gettext_plain(said) for name, said in SENTENCES.items()} for language in LANGUAGES},
    }
    metadata = f"Metadata-Version: 2.1\nName: esep\nVersion: {version('esep')}\n"
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as packed:

            def add(name: str, content: bytes) -> None:
                packed.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED, level)

            add("__main__.py", START.encode())
            add("verifier.json", json.dumps(told, indent=1).encode())
            add(f"lib/esep-{version('esep')}.dist-info/METADATA", metadata.encode())
            for name, path in sorted(files.items()):
                add(f"lib/{name}", path.read_bytes())
    target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--level", type=int, default=6, help="how hard to compress: 0, not at all, to 9")
    options = parser.parse_args()
    pack(options.target, options.level)
    print(
        f"{options.target}: {options.target.stat().st_size >> 20} MiB, for Python {sys.version_info[0]}.{sys.version_info[1]} on {sysconfig.get_platform()}"
    )
