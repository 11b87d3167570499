"""Holds a built wheel and source distribution against the repository: `python tests/packaged.py DIST`."""

import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
PACKAGES = {"prunebench": ROOT, "prunebench_plugins": ROOT / "plugins"}
NOT_PUBLISHED = ("tests/", "leaderboards/", "docs/", "benchmarks/", "plugins/")


def expected() -> set[str]:
    """Every file of the packages that is not made by running them."""
    found = set()
    for package, above in PACKAGES.items():
        files = (path for path in (above / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        found |= {path.relative_to(above).as_posix() for path in files}
    return found


def amiss(dist: Path) -> list[str]:
    """What is wrong with the wheel and the source distribution in a folder."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    wrong = []
    with ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if not name.endswith("/")}
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = opened.read(metadata).decode()
    wrong += [f"{wheel.name}: lacks {name}" for name in sorted(expected() - names)]
    wrong += [f"{wheel.name}: has {name}" for name in sorted(names) if name.startswith(NOT_PUBLISHED)]
    wrong += [
        f"{wheel.name}: no {line}" for line in ("Requires-Python: >=3.11", "License-Expression:") if line not in text
    ]
    with tarfile.open(sdist) as opened_sdist:
        there = {name.partition("/")[2] for name in opened_sdist.getnames()}
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "prunebench/py.typed",
        "plugins/prunebench_plugins/py.typed",
    ):
        if name not in there:
            wrong.append(f"{sdist.name}: lacks {name}")
    return wrong


if __name__ == "__main__":
    found = amiss(Path(sys.argv[1]))
    print("\n".join(found) or "the wheel and the source distribution hold what they should")
    sys.exit(bool(found))
