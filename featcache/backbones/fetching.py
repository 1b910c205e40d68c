"""Fetching a model: from open_clip's list, the Hugging Face hub or a folder, or why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featcache.backbones.names import DEMO, HF_HUB, LOCAL_DIR, BackboneName
from featcache.errors import BackboneError
from featcache.quiet import quiet
from featcache.resources import data_path

CONFIG = "open_clip_config.json"
PREFERRED = (  # open_clip's own order; without one of these names it takes any file
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
NOT_FETCHED = ("Failed to download", "Failed initial config", "Required pretrained weights")


def fetch(name: BackboneName) -> tuple[Any, Any, dict[str, Any]]:
    """Give model (fp32, on the CPU), tokeniser and configuration.

    Raises `BackboneError`: one sentence on what was looked for, where, and what to do.
    """
    import open_clip  # seconds to import

    source, hub = name.model, _hub_file(name)
    if name.model == DEMO or name.folder:
        folder = name.folder or data_path(DEMO)
        _check_folder(folder, name)
        source = f"{LOCAL_DIR}{folder}"
    with quiet(), _fail_fast(bool(hub)) as offline:
        try:
            config = open_clip.get_model_config(source)
            tokenizer = open_clip.get_tokenizer(source)
            model = open_clip.create_model(source, name.tag or None, require_pretrained=True)
        except ModuleNotFoundError as error:
            raise BackboneError(
                f"{name.canonical} needs the package {error.name}; pip install {error.name}."
            ) from error
        except Exception as error:  # files of strangers: almost anything may be wrong with them
            reason = str(error).split("Last error: ")[-1].strip().split("\n")[0] or repr(error)
            if hub and any(sign in str(error) for sign in NOT_FETCHED):
                raise BackboneError(_not_fetched(name, hub, offline, reason)) from error
            raise BackboneError(
                f"{name.canonical} cannot be loaded: {reason.rstrip('.')}."
            ) from error
    return model.eval().requires_grad_(False), tokenizer, config


def _hub_file(name: BackboneName) -> str:
    """What open_clip fetches for this name, as `org/repo` or `org/repo/file`; empty if nothing."""
    import open_clip

    if name.model.startswith(HF_HUB):
        return name.model.removeprefix(HF_HUB)
    config = open_clip.get_pretrained_cfg(name.model, name.tag) if name.tag else {}
    return str(config.get("hf_hub") or config.get("url") or "").rstrip("/")


def _not_fetched(name: BackboneName, hub: str, offline: bool, reason: str) -> str:
    from huggingface_hub import constants

    why = f"{constants.ENDPOINT} cannot be reached" if offline else reason.rstrip(".")
    parts = hub.split("/")
    repo, file = "/".join(parts[:2]), "/".join(parts[2:])
    wanted = file or "open_clip_model.safetensors or open_clip_pytorch_model.bin"
    if name.model.startswith(HF_HUB):
        wanted = f"{CONFIG}, {wanted}"
    return (
        f"{name.canonical} is not here: {repo} ({wanted}) is not in {constants.HF_HUB_CACHE}, and "
        f"{why}; load it once with a network, or bring that folder from another machine and set "
        f"HF_HUB_OFFLINE=1, or put the files into a folder and write {LOCAL_DIR}FOLDER."
    )


def _check_folder(folder: Path, name: BackboneName) -> None:
    if not folder.is_dir():
        raise BackboneError(f"{name.canonical}: there is no folder {folder}.")
    if not (folder / CONFIG).is_file():
        raise BackboneError(
            f"{name.canonical}: {folder} has no {CONFIG}, which says how the model is built and "
            "how its pictures are prepared."
        )
    weights = [f for f in folder.iterdir() if f.suffix in (".safetensors", ".bin", ".pth")]
    if not weights:
        raise BackboneError(
            f"{name.canonical}: {folder} has no weights; put open_clip_model.safetensors there."
        )
    if len(weights) > 1 and not any(f.name in PREFERRED for f in weights):
        raise BackboneError(
            f"{name.canonical}: {folder} has {len(weights)} weight files; name the right one "
            "open_clip_model.safetensors."
        )


@contextmanager
def _fail_fast(needed: bool) -> Iterator[bool]:
    """Go offline where the hub does not answer, for it is asked again for 23 seconds a file.

    Gives whether it is out of reach; files in its cache are found all the same.
    """
    from huggingface_hub import constants, get_session

    before = constants.HF_HUB_OFFLINE
    if needed and not before:
        try:
            get_session().head(constants.ENDPOINT, timeout=5)
        except Exception:  # which one depends on the client that the hub's version uses
            constants.HF_HUB_OFFLINE = True
    try:
        yield constants.HF_HUB_OFFLINE
    finally:
        constants.HF_HUB_OFFLINE = before
