"""The text tower of a backbone, kept once for all its entries, for methods that learn prompts.

    <root>/towers/<fingerprint>/weights.safetensors   all that text goes through
                               /merges.txt            pairs of pieces of words, by rank
                               /tower.json            what it is; what it says alone exists

Files are written beside their names, synced, read back and renamed, `tower.json` last: it carries
size and SHA-256 of the others and a SHA-256 of its own content. Arrays here are NumPy's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.files import beside, replace
from featcache.store import files, words
from featcache.store.shape import misfit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEXT_TOWER = "text-tower"  # as `--extra` calls it
FOLDER, ABOUT, WEIGHTS, MERGES = "towers", "tower.json", "weights.safetensors", "merges.txt"
FORMAT = 1
# How far unit embeddings of prompts that are encoded again may be from those cached, by the
# precision that the entry was encoded in; what is cached is rounded to half precision itself.
TOLERANCES = {"fp32": 1e-3, "fp16": 1e-2, "bf16": 1e-2}
ANEW = f"run `featcache encode … --extra {TEXT_TOWER}` again, it writes it anew."
FILE = {"bytes": int, "sha256": str}
SHAPE = {
    "format": int,
    "backbone": str,
    "fingerprint": str,
    "files": {WEIGHTS: FILE, MERGES: FILE},
    "config": {
        "layers": int,
        "heads": int,
        "context": int,
        "activation": str,
        "epsilon": float,
        "dtype": str,
    },
    "tokenizer": str,
}


@dataclass(frozen=True)
class TowerFiles:
    """A kept tower: its folder and what `tower.json` says."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def config(self) -> Mapping[str, Any]:
        """`layers`, `heads`, `context`, `activation`, `epsilon`, `dtype`."""
        found: Mapping[str, Any] = self.about["config"]
        return found

    @property
    def fingerprint(self) -> str:
        """The backbone's."""
        return str(self.about["fingerprint"])

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(int(record["bytes"]) for record in self.about["files"].values())

    def weights(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, as they are kept. Raises `CacheError` where they are not right."""
        from safetensors.numpy import load

        return dict(load(self._read(WEIGHTS)))

    def tokenizer(self) -> words.Tokenizer:
        """What cuts its prompts. Raises `CacheError` where its file is not right."""
        parted = (line.partition(" ") for line in self._read(MERGES).decode().splitlines())
        return words.of_pairs((first, second) for first, _, second in parted)

    def problems(self) -> list[str]:
        """What is wrong with its files, a sentence each."""
        found = []
        for name in self.about["files"]:
            try:
                self._read(name)
            except CacheError as error:
                found.append(str(error))
        return found

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise MissingShardError(f"{path} is missing; {ANEW}") from None
        except OSError as error:
            raise CacheError(files.unreadable(path, error)) from None
        if hashlib.sha256(content).hexdigest() != self.about["files"][name]["sha256"]:
            raise DamagedShardError(f"{path} is damaged (SHA-256); {ANEW}")
        return content


def find(root: Path, fingerprint: str) -> TowerFiles | None:
    """The tower that a cache keeps of a backbone; None where it keeps none.

    Raises `DamagedShardError` where `tower.json` makes no sense, `CacheError` where the system does
    not give it.
    """
    if not there(root, fingerprint):
        return None
    folder = folder_of(root, fingerprint)
    path = folder / ABOUT
    try:
        about = json.loads(path.read_bytes())
    except OSError as error:
        raise CacheError(files.unreadable(path, error)) from None
    except ValueError:
        about = None
    rest = {key: value for key, value in about.items() if key != "sum"} if about else {}
    wrong = misfit(rest, SHAPE) or (about.get("sum") != _sum(rest) and "SHA-256")
    if wrong:
        raise DamagedShardError(f"{path} is damaged ({wrong}); {ANEW}")
    return TowerFiles(folder, rest)


def there(root: Path, fingerprint: str) -> bool:
    """Whether a tower is kept of a backbone, sound or not: a look, no reading."""
    return bool(fingerprint) and (folder_of(root, fingerprint) / ABOUT).exists()


def folder_of(root: Path, fingerprint: str) -> Path:
    """Where the tower of a backbone lies, or would."""
    return root / FOLDER / fingerprint[:16]


def write(
    root: Path,
    about: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.floating[Any]]],
    merges: str,
) -> TowerFiles:
    """Keep a tower: `about` has backbone, fingerprint, config and the tokenizer's name.

    Raises `CacheError` where the disk refuses or what is read back differs; then it is not there.
    """
    from safetensors.numpy import save

    folder = folder_of(root, about["fingerprint"])
    contents = {WEIGHTS: save(dict(weights)), MERGES: merges.encode()}
    records = {}
    for name, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        with beside(folder / name) as draft:
            draft.write_bytes(content)
            if files.sha256(draft) != digest:
                raise CacheError(f"{folder / name} read back differs from what was written.")
        records[name] = {"bytes": len(content), "sha256": digest}
    told = {"format": FORMAT, **about, "files": records}
    text = json.dumps({**told, "sum": _sum(told)}, indent=1, ensure_ascii=False) + "\n"
    replace(folder / ABOUT, text)
    return TowerFiles(folder, told)


def problems(root: Path, fingerprint: str) -> list[str]:
    """What is wrong with the tower that is kept of a backbone; none where none is kept."""
    try:
        found = find(root, fingerprint)
    except CacheError as error:
        return [str(error)]
    return found.problems() if found else []


def tolerance(manifest: Mapping[str, Any]) -> float:
    """How far the texts of an entry may be from what its tower makes of their prompts."""
    return TOLERANCES.get(str(manifest["backbone"].get("precision")), TOLERANCES["fp32"])


def difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference between coordinates of two sets of embeddings `[p, d]`, made unit."""
    import numpy as np

    units = [x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (one, other)]
    return float(np.abs(units[0] - units[1]).max())


def _sum(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
