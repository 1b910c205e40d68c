"""How people spell a backbone, and the one name that each spelling stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from featcache.errors import BackboneError, UnknownNameError

DEMO = "demo"
LOCAL_DIR = "local-dir:"
HF_HUB = "hf-hub:"
QUICK = "-quickgelu"
WEIGHT_SUFFIXES = {".bin", ".ckpt", ".npz", ".pt", ".pth", ".safetensors"}

# The models that OpenAI published; the list is closed, and known without importing open_clip.
OPENAI = (
    "RN50",
    "RN101",
    "RN50x4",
    "RN50x16",
    "RN50x64",
    "ViT-B-32",
    "ViT-B-16",
    "ViT-L-14",
    "ViT-L-14-336",
)


@dataclass(frozen=True, slots=True)
class BackboneName:
    """A model and the tag of its weights; the tag is empty where the model brings its own."""

    model: str
    tag: str = ""

    @property
    def canonical(self) -> str:
        """The one spelling that stands in results, such as `ViT-B-16-quickgelu:openai`."""
        return f"{self.model}:{self.tag}" if self.tag else self.model

    @property
    def folder(self) -> Path | None:
        """Folder of a `local-dir:` model, else None."""
        if not self.model.startswith(LOCAL_DIR):
            return None
        return Path(self.model.removeprefix(LOCAL_DIR)).expanduser()

    @property
    def slug(self) -> str:
        """The canonical name as one folder name; of a `local-dir:` path only its last part."""
        text = f"{LOCAL_DIR}{self.folder.resolve().name}" if self.folder else self.canonical
        return re.sub(r"[^\w.-]+", "_", text).strip("_") or "backbone"


def parse(backbone: str, pretrained: str | None = None) -> BackboneName:
    """Read any spelling that people type; the tag is `openai` where none is given.

    Weights that were trained with QuickGELU get the `-quickgelu` model whatever the spelling.
    Raises `UnknownNameError` for a model or tag that open_clip does not know, `BackboneError`
    for a spelling that contradicts itself and for a bare weight file.
    """
    text = re.sub(r"^open_clip:", "", backbone.strip(), flags=re.IGNORECASE)
    if own := _with_own_weights(text):
        if pretrained:
            raise BackboneError(
                f"{own.canonical} brings its own weights; leave out --pretrained {pretrained}."
            )
        return own
    model, tag, *_ = [*re.split("[:,]", text, maxsplit=1), ""]
    if pretrained and tag and _clean(tag) != _clean(pretrained):
        raise BackboneError(f"{backbone} names the tag {tag}, --pretrained {pretrained}; give one.")
    tag = pretrained or tag
    if Path(tag).suffix.lower() in WEIGHT_SUFFIXES or "/" in tag or "\\" in tag:
        raise BackboneError(
            f"the weight file {tag} does not say how its pictures were prepared; put it into a "
            f"folder with its open_clip_config.json and write {LOCAL_DIR}FOLDER instead."
        )
    return _of_openai(model, tag) or _of_open_clip(model, tag)


def names() -> list[BackboneName]:
    """Every pair of model and tag that can be asked for, the demo first."""
    pairs = {_resolve(model, tag) for model, tags in _zoo().items() for tag in tags}
    return [BackboneName(DEMO), *sorted(pairs, key=lambda name: name.canonical.lower())]


def wants_quick_gelu(name: BackboneName) -> bool:
    """Whether open_clip says that these weights were trained with QuickGELU."""
    return bool(name.tag) and _zoo().get(name.model, {}).get(name.tag, False)


def _with_own_weights(text: str) -> BackboneName | None:
    if text.lower() == DEMO:
        return BackboneName(DEMO)
    for prefix in (LOCAL_DIR, HF_HUB):
        if text.lower().startswith(prefix):
            rest = text[len(prefix) :].strip()
            if not rest:
                raise BackboneError(f"{text} names nothing; write {prefix}NAME.")
            return BackboneName(prefix + rest)
    return None


def _of_openai(model: str, tag: str) -> BackboneName | None:
    found = _find(model.lower().removesuffix(QUICK), OPENAI)
    return BackboneName(found + QUICK, "openai") if found and _clean(tag) == "openai" else None


def _of_open_clip(model: str, tag: str) -> BackboneName:
    zoo = _zoo()
    found = _find(model, zoo)
    if not found and not tag and "/" in model:  # clip-retrieval's ViT-B-32/laion2b_s34b_b79k
        model, tag = model.rsplit("/", 1)
        found = _find(model, zoo)
    if not found:
        hint = f"A folder is written {LOCAL_DIR}FOLDER, a hub repository {HF_HUB}ORG/REPO."
        raise UnknownNameError("backbone", model, [DEMO, *zoo], hint)
    return _resolve(found, _clean(tag))


def _resolve(model: str, tag: str) -> BackboneName:
    """The model whose activation is that of the weights; both names are in canonical case."""
    zoo, plain = _zoo(), model.removesuffix(QUICK)
    tags = zoo.get(plain, {})
    if tag not in tags:
        raise UnknownNameError(f"tag of {plain}", tag, tags, f"Write {plain}:TAG.")
    if tags[tag] and plain + QUICK in zoo:
        return BackboneName(plain + QUICK, tag)
    if model != plain:
        raise BackboneError(
            f"{model}:{tag} contradicts itself, because these weights were trained with plain "
            f"GELU; write {plain}:{tag}."
        )
    return BackboneName(plain, tag)


def _find(model: str, known: Iterable[str]) -> str | None:
    """The known name that is meant, whatever the case, slashes or OpenAI's `@336px`."""
    wanted = re.sub(r"[@-](\d+)px", r"-\1", model.strip().lower()).replace("/", "-")
    return next((name for name in known if name.lower() == wanted), None)


def _clean(tag: str) -> str:
    return tag.strip().lower().replace("-", "_") or "openai"


@cache
def _zoo() -> dict[str, dict[str, bool]]:
    """Each model of open_clip with its tags, and whether these want QuickGELU."""
    import open_clip  # seconds to import

    zoo: dict[str, dict[str, bool]] = {}
    for model, tag in open_clip.list_pretrained():
        config = open_clip.get_pretrained_cfg(model, tag)
        zoo.setdefault(model, {})[tag] = bool(config.get("quick_gelu"))
    return zoo
