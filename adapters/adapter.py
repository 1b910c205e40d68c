"""A fitted method that can be asked, kept and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapters import card
from adapters.compose import get
from adapters.confidence import calibration
from adapters.confidence.calibration import Calibration
from adapters.configure import configure
from adapters.devices.device import CPU, moved, steady
from adapters.episode import Query, Text
from adapters.method import State, query_of, refuse_new_classes
from featcache import files, notebook, threads
from featcache.errors import CacheError, ConfigError, FeatcacheError, MethodError
from featcache.store.entry import PATCHES, PRE_PROJECTION

Array = NDArray[Any]
LEAST = 1e-12  # a length below which `torch.nn.functional.normalize` makes no unit vector
STATE, CARD = "adapter.safetensors", "adapter.json"


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

    def __repr__(self) -> str:
        return notebook.line("Adapter", self.method, self._told)

    def _repr_html_(self) -> str:
        return notebook.facts(f"Adapter: {self.method}", {**self._told, "config": self.config})

    @property
    def _told(self) -> dict[str, Any]:
        known = {key: self.about.get(key) for key in ("dataset", "backbone", "shots", "seed")}
        heat = f"temperature {self.temperature:.3g}" if calibration.KEY in self.about else None
        return {**known, "classes": len(self.classnames), "calibrated": heat}

    @property
    def extras(self) -> tuple[str, ...]:
        """Features of pictures beside embeddings that it was fitted on and has to be asked with."""
        return tuple(n for n in self.about.get("extras", ()) if n in (PRE_PROJECTION, PATCHES))

    @property
    def device(self) -> torch.device:
        """Where it was fitted or moved, and answers."""
        # Bare numbers may stay on the processor.
        return next((t.device for t in self.state.values() if t.dim()), CPU)

    def to(self, device: torch.device) -> Adapter:
        """The same adapter on a device."""
        return replace(self, state={name: t.to(device) for name, t in self.state.items()})

    def told(self, key: str) -> Any:
        """What `about` says of where it comes from. Raises `CacheError` where it does not."""
        if key not in self.about:
            raise CacheError(
                f"this adapter does not say its {key}, which is needed to ask that of it; take one "
                "that `adapters fit` saved."
            )
        return self.about[key]

    def logits(self, x: Tensor | Array | Query) -> Tensor:
        """Scores `[q, c]` of raw image embeddings `x [q, d]`, or of a query that has its `extras`.

        Embeddings may be NumPy's, and of any precision. Pictures may lie anywhere; scores lie where
        the adapter does. Raises `CacheError` where one is missing, the width is not that of the
        backbone it was fitted on, or these are no rows.
        """
        method, classes = get(self.method), len(self.classnames)
        with self._asked(x) as query:
            return method.answer(self.state, self.config, query, classes)

    def answer(
        self, x: Tensor | Array | Query, see: Callable[[slice, Tensor], Sequence[Tensor]]
    ) -> list[Tensor]:
        """What is seen in the logits `[m, c]` of some rows of a query after the others, together.

        Each tensor `[m, …]` that `see` gives comes back as one `[q, …]`. What is held beside these
        does not grow with the pictures, but for a method that looks at all of them at once. Raises
        as `logits`.
        """
        method, classes, found = get(self.method), len(self.classnames), list[Tensor]()
        with self._asked(x) as query:
            for rows, part in method.answers(self.state, self.config, query, classes):
                seen = see(rows, part)
                # Made at once: small tensors kept one by one would hold the memory between them.
                found = found or [each.new_empty(len(query.x), *each.shape[1:]) for each in seen]
                for whole, each in zip(found, seen, strict=True):
                    whole[rows] = each
        return found

    @contextmanager
    def _asked(self, x: Tensor | Array | Query) -> Iterator[Query]:
        """What is asked, where the adapter lies, with the threads and the steps that answers take.

        Raises what `logits` raises.
        """
        query = query_of(
            torch.from_numpy(np.array(x, np.float32)) if isinstance(x, np.ndarray) else x
        )
        pre = None if query.pre is None else query.pre.float()
        query = replace(query, x=_embeddings(query.x), pre=pre)
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
        few = threads.for_work(query.x.numel() * len(self.classnames))
        with few, torch.inference_mode(), steady(self.device):
            yield moved(query, self.device)

    @property
    def calibration(self) -> Calibration:
        """Its temperature and scores. Raises `CacheError` where it was fitted without."""
        found = calibration.read(self.about)
        if found is None:
            raise CacheError(
                "this adapter is not calibrated, so that its probabilities promise nothing; fit it "
                "again with `adapters fit --calibrate` (`adapters.fit(…, calibrate=True)`)."
            )
        return found

    @property
    def temperature(self) -> float:
        """What its logits are divided by; 1 where it is not calibrated."""
        found = calibration.read(self.about)
        return 1.0 if found is None else found.temperature

    def probabilities(self, x: Tensor | Array | Query) -> Tensor:
        """Probabilities `[q, c]`, calibrated where it is; `x` as `logits` takes it."""
        return (self.logits(x).double() / self.temperature).softmax(1)

    def threshold(self, coverage: float) -> float:
        """The largest 1 - p that a class of a set has, for sets with the truth as often as asked.

        Raises `CacheError` where it is not calibrated, `ConfigError` for a share that is none.
        """
        if not 0 < coverage < 1:
            raise ConfigError(f"a coverage lies between 0 and 1, such as 0.9; {coverage} does not.")
        return self.calibration.threshold(coverage)

    def sets(self, x: Tensor | Array | Query, coverage: float) -> Tensor:
        """Which classes each picture may be, bool `[q, c]`: the truth among them as often as asked.

        That is so for pictures exchangeable with those it was calibrated on; a set may be empty.
        Raises what `threshold` and `logits` raise, `MethodError` where scores are not finite.
        """
        return 1 - _finite(self.probabilities(x), self.method) <= self.threshold(coverage)

    def predict(self, x: Tensor | Array | Query) -> list[str]:
        """The name of the best class for each picture; `x` as `logits` takes it.

        Raises what `logits` raises, `MethodError` where scores are not finite.
        """
        best = _finite(self.logits(x), self.method).argmax(1)
        return [self.classnames[i] for i in best.tolist()]

    def with_text(self, text: Text) -> Adapter:
        """The same adapter for other classes.

        Raises `MethodError` where the method's parameters belong to the classes it was fitted on.
        """
        change = get(self.method).with_text
        if change is None:
            raise refuse_new_classes(self.method)
        state = change(self.state, self.config, moved(text, self.device))
        # Scores of the classes it was calibrated on say nothing of others.
        about = {key: value for key, value in self.about.items() if key != calibration.KEY}
        return replace(self, state=state, classnames=text.classnames, about=about)

    def save(self, folder: Path | str) -> Path:
        """Write `adapter.safetensors` and `adapter.json` into a folder, and return it.

        Raises `CacheError` where the disk refuses, or the state is not finite.
        """
        from safetensors.torch import save

        folder = Path(folder)
        if bad := not_finite(self.state):
            raise CacheError(
                f"{self.method} learned {bad}, which is not finite, so there is nothing to save; "
                "fit it with other settings."
            )
        # Cloned, for two names may share one tensor and the file keeps each by itself.
        state = save(
            {
                name: tensor.detach().cpu().contiguous().clone()
                for name, tensor in self.state.items()
            }
        )
        content = {
            "method": self.method,
            "config": asdict(self.config),
            "classnames": list(self.classnames),
            "about": dict(self.about),
        }
        text = card.write(content, state)
        files.replace(folder / STATE, state)
        files.replace(folder / CARD, text)
        return folder


def load(folder: Path | str) -> Adapter:
    """The adapter saved in a folder.

    Raises `CacheError` where there is none, or it is not what was saved.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as state_of

    folder = Path(folder)
    try:
        content = (folder / STATE).read_bytes()
        held = card.read((folder / CARD).read_bytes(), content)
        state = state_of(content)
        config, _ = configure(held["method"], get(held["method"]), held["config"])
        found = Adapter(held["method"], config, state, tuple(held["classnames"]), held["about"])
        _try(found)
    except FileNotFoundError as error:
        raise CacheError(
            f"{folder} holds no adapter ({Path(error.filename).name} is missing); give the folder "
            "that `adapters fit` printed."
        ) from None
    except OSError as error:
        raise CacheError(
            f"the adapter in {folder} cannot be read ({error.strerror}); see to the disk and its "
            "permissions."
        ) from None
    except (ValueError, SafetensorError, FeatcacheError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise CacheError(f"the adapter in {folder} is damaged ({reason}); fit it again.") from None
    return found


def _embeddings(x: Tensor) -> Tensor:
    """Rows `[q, d]` as methods take them: of half precision as they are, else of single.

    Raises `CacheError` where they are no rows, or single precision cannot hold their lengths.
    """
    if x.dim() != 2:
        raise CacheError(
            f"embeddings are rows [pictures, width], and these are {[*x.shape]}; give a single one "
            "as x[None]."
        )
    x = x if x.dtype == torch.half else x.float()
    lengths = torch.linalg.vector_norm(x.float(), dim=1)
    lost = (lengths.isinf() & x.isfinite().all(1)) | ((lengths < LEAST) & x.any(1))
    if many := int(lost.sum()):
        raise CacheError(
            f"{many} of {len(x)} embeddings have no length in single precision, which holds "
            f"{LEAST:.0e} to 1e+19; scale all of them alike."
        )
    return x


def _finite(scores: Tensor, method: str) -> Tensor:
    """The scores `[q, c]`. Raises `MethodError` for what is no number, whose best is no class."""
    if bad := int((~scores.isfinite().all(1)).sum()):
        raise MethodError(
            f"{method} gives scores that are not finite to {bad} of {len(scores)} pictures, so it "
            "has no class for them; see that their embeddings are finite, and leave out the others."
        )
    return scores


def not_finite(state: State) -> str:
    """The first tensor of a state that holds values that are not finite; empty if none does."""
    return next((name for name, t in state.items() if not torch.isfinite(t).all()), "")


def _try(adapter: Adapter) -> None:
    """Raise `ValueError` where the state is none that the method can answer from."""
    if bad := not_finite(adapter.state):
        raise ValueError(f"{bad} holds values that are not finite")
    calibration.read(adapter.about)
    width = adapter.about.get("width")
    if width is None or adapter.extras:  # what it is asked with is not known
        return
    try:
        found = adapter.logits(torch.ones(1, width)).shape
    except (LookupError, RuntimeError, TypeError, ArithmeticError) as error:
        why = f"{type(error).__name__}: {error!s:.120}"
        raise ValueError(f"its state does not fit {adapter.method}: {why}") from None
    if found != (1, len(adapter.classnames)):
        raise ValueError(f"it scores {found[-1]} classes and names {len(adapter.classnames)}")
