"""A fitted method that can be asked, kept and taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapters.compose import get
from adapters.configure import configure
from adapters.episode import Query, Text
from adapters.method import State, query_of, refuse_new_classes
from featcache.errors import CacheError
from featcache.store.entry import PATCHES, PRE_PROJECTION

FORMAT = 2


@dataclass(frozen=True)
class Adapter:
    """What `fit` returns: a method's name, its config, what it learned, and for which classes.

    `about` says where it comes from (data set, backbone, shots, seed, policy, …).
    """

    method: str
    config: Any
    state: State
    classnames: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def extras(self) -> tuple[str, ...]:
        """Features of pictures beside embeddings that it was fitted on and has to be asked with."""
        return tuple(n for n in self.about.get("extras", ()) if n in (PRE_PROJECTION, PATCHES))

    def logits(self, x: Tensor | Query) -> Tensor:
        """Scores `[q, c]` of raw image embeddings `x [q, d]`, or of a query that has its `extras`.

        Raises `CacheError` where one is missing, or the width is not that of the backbone it was
        fitted on.
        """
        query = query_of(x)
        given = {PRE_PROJECTION: query.pre, PATCHES: query.patches}
        if missing := [name for name in self.extras if given[name] is None]:
            raise CacheError(
                f"this adapter was fitted on {' and '.join(missing)} beside embeddings and is "
                f"asked without; cache them with `featcache encode --extra {','.join(missing)}`, "
                "or give an `adapters.Query` that has them."
            )
        width = self.about.get("width")
        if width is not None and query.x.shape[-1] != width:
            raise CacheError(
                f"embeddings of width {query.x.shape[-1]} were given to an adapter fitted on width "
                f"{width} ({self.about.get('backbone')}); encode with that backbone."
            )
        with torch.inference_mode():
            method = get(self.method)
            return method.answer(self.state, self.config, query, len(self.classnames))

    def predict(self, x: Tensor | Query) -> list[str]:
        """The name of the best class for each picture; `x` as `logits` takes it."""
        return [self.classnames[i] for i in self.logits(x).argmax(1).tolist()]

    def with_text(self, text: Text) -> Adapter:
        """The same adapter for other classes.

        Raises `MethodError` where the method's parameters belong to the classes it was fitted on.
        """
        change = get(self.method).with_text
        if change is None:
            raise refuse_new_classes(self.method)
        state = change(self.state, self.config, text)
        return replace(self, state=state, classnames=text.classnames)

    def save(self, folder: Path | str) -> Path:
        """Write `adapter.safetensors` and `adapter.json` into a folder, and return it."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # Cloned, for two names may share one tensor and the file keeps each by itself.
        state = {
            name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.state.items()
        }
        save_file(state, folder / "adapter.safetensors")
        card = {
            "format": FORMAT,
            "method": self.method,
            "config": asdict(self.config),
            "classnames": list(self.classnames),
            "about": dict(self.about),
        }
        text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
        (folder / "adapter.json").write_text(text, encoding="utf-8")
        return folder


def load(folder: Path | str) -> Adapter:
    """The adapter saved in a folder.

    Raises `CacheError` where there is none or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    try:
        card = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
        state = load_file(folder / "adapter.safetensors")
    except FileNotFoundError as error:
        raise CacheError(
            f"{folder} holds no adapter ({Path(error.filename or 'adapter.safetensors').name} is "
            "missing); give the folder that `adapters fit` printed."
        ) from None
    except (OSError, ValueError, SafetensorError) as error:
        raise CacheError(f"the adapter in {folder} is damaged ({error}); fit it again.") from None
    if card.get("format") != FORMAT:
        raise CacheError(
            f"{folder} was saved in format {card.get('format')}, not {FORMAT}; fit it again."
        )
    config, _ = configure(card["method"], get(card["method"]), card["config"])
    return Adapter(card["method"], config, state, tuple(card["classnames"]), card["about"])
