"""A folder of wheels made from what is installed here, so that tests install an agent without a package index."""

import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def fill(folder: Path) -> dict[str, str]:
    """Make the wheels of all that `edgerun[server,onnx]` needs; returns the variables that point pip at them."""
    for name in sorted(_needed("edgerun", {"server", "onnx"}) - {"edgerun"}):
        _repack(distribution(name), folder)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def _needed(name: str, extras: set[str], seen: set[str] | None = None) -> set[str]:
    seen = set() if seen is None else seen
    seen.add(name)
    for requirement in map(Requirement, distribution(name).requires or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            wanted = canonicalize_name(requirement.name)
            if wanted not in seen:
                _needed(wanted, requirement.extras, seen)
    return seen


def _repack(installed: Distribution, folder: Path) -> None:
    names = dict(_files(installed))
    (info,) = {name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info")}
    tags = [line.removeprefix("Tag: ") for line in (installed.read_text("WHEEL") or "").splitlines() if "Tag: " in line]
    together = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*(tag.split("-") for tag in tags), strict=True))
    wheel = folder / f"{info.removesuffix('.dist-info')}-{together}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, path in names.items():
            archive.write(path, name)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*names, f"{info}/RECORD"]))


def _files(installed: Distribution) -> Iterator[tuple[str, Path]]:
    """What the wheel held: neither scripts nor what the installer added."""
    for file in installed.files or []:
        added = file.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json") or file.suffix == ".pyc"
        if ".." not in file.parts and not added:
            yield str(file), Path(str(file.locate()))
