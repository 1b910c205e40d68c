"""A few-shot classifier with scikit-learn's habits: raw embeddings and labels in, labels out.

It is a method of this package on embeddings that lie in no cache. What is fitted is an `Adapter`,
`adapter_`, which can be saved and asked like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from adapters.ability import refuse_textless
from adapters.adapter import LEAST, Adapter
from adapters.compose import get
from adapters.configure import configure
from adapters.episode import VIEWS, Episode, Support, Text
from adapters.selection import select
from adapters.watching import waiting
from featcache import threads
from featcache.draws import whole
from featcache.errors import EpisodeError, MethodError

Array = NDArray[Any]
Texts = Tensor | Array | Mapping[Any, Tensor | Array]


class FewShotClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A method fitted on raw embeddings `X [n, d]`, NumPy or torch, with labels `y [n]`.

    `method` is a name or an expression (`adapters methods`), `settings` its config fields, `seed`
    what training draws from, `logit_scale` that of the backbone (CLIP's is 100). The default needs
    no text and trains nothing. Settings are taken as they stand; scikit-learn's own searches try
    others: `GridSearchCV(FewShotClassifier(), {"method": ["gda", "ncm", "proker"]})`.
    """

    def __init__(
        self,
        method: str = "gda",
        settings: Mapping[str, Any] | None = None,
        seed: int = 1,
        logit_scale: float = 100.0,
    ) -> None:
        self.method = method
        self.settings = settings
        self.seed = seed
        self.logit_scale = logit_scale

    @threads.for_work(0)  # but for what `select` and `Adapter.logits` find large
    def fit(
        self, X: Tensor | Array, y: Any, text: Texts | None = None, progress: bool | None = None
    ) -> FewShotClassifier:
        """Fit on embeddings and labels; `text` are raw prompt embeddings of each class.

        They are `[c, d]` or, with several prompts a class, `[c, p, d]` in the order of the sorted
        labels, or a mapping from each label to its `[d]` or `[p, d]`. `progress` is that of
        `adapters.fit`. Raises `MethodError` where the method needs text or features that were not
        given, `EpisodeError` where texts are not of these classes, what reading the settings
        raises, and `ValueError` for arrays that are no embeddings, among them rows whose length
        single precision cannot hold.
        """
        method = get(self.method)
        if missing := sorted(method.needs - {VIEWS}):
            raise MethodError(
                f"{self.method} needs {' and '.join(missing)}, which arrays do not have; take a "
                "method that does without (gda, ncm, …), or a cache and `adapters.fit`."
            )
        if text is None and not method.without_text:
            raise refuse_textless(self.method, "no text was given", "give fit(X, y, text=…)")
        config, _ = configure(self.method, method, self.settings or {})
        x, y = validate_data(self, _numpy(X), _numpy(y), dtype=[np.float64, np.float32])
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        names = tuple(map(str, self.classes_.tolist()))
        views = torch.from_numpy(_single(x, "X"))[None]
        support = Support(views, torch.from_numpy(labels).long(), tuple(map(str, range(len(x)))))
        shots = int(np.bincount(labels).max())
        shown = self._text(text, names, x.shape[1])
        episode = Episode(support, shown, float(self.logit_scale), shots, whole("seed", self.seed))
        with waiting.shown(progress):
            chosen = select(method, episode, config, None)
        about = {"width": x.shape[1], "logit_scale": float(self.logit_scale), "shots": shots}
        self.adapter_ = Adapter(self.method, chosen.config, chosen.state, names, about)
        return self

    def predict_proba(self, X: Tensor | Array) -> Array:
        """Probabilities `[n, c]` of the classes as `classes_` has them."""
        check_is_fitted(self)
        x = validate_data(self, _numpy(X), reset=False, dtype=[np.float64, np.float32])
        scores = self.adapter_.logits(_single(x, "X"))
        found: Array = scores.double().softmax(1).numpy()
        return found

    def predict(self, X: Tensor | Array) -> Array:
        """The label of each picture `[n]`."""
        best = self.predict_proba(X).argmax(1)
        found: Array = self.classes_[best]
        return found

    def _text(self, text: Texts | None, names: tuple[str, ...], width: int) -> Text:
        if text is None:
            prompts = torch.zeros(len(names), 1, width)
            return Text(prompts, torch.ones(len(names), 1, dtype=torch.bool), names, absent=True)
        if isinstance(text, Mapping):
            if lacking := [label for label in self.classes_.tolist() if label not in text]:
                raise EpisodeError(
                    f"text has no prompts of class {lacking[0]!r}; give those of every label in y."
                )
            rows = [text[label] for label in self.classes_.tolist()]
        else:
            rows = list(text)
        given = [np.atleast_2d(np.array(_numpy(row), np.float64)) for row in rows]
        each = [torch.from_numpy(_single(part, "text")) for part in given]
        if len(each) != len(names) or any(part.shape[1:] != (width,) for part in each):
            raise EpisodeError(
                f"text has to be [c, d] or [c, p, d] for c = {len(names)} classes and the width "
                f"d = {width} of the embeddings, and is {[*map(len, each)][:6]} prompts of width "
                f"{each[0].shape[-1] if each else 0} for {len(each)}; give the prompts of each "
                "label in y, of the same backbone."
            )
        counts = torch.tensor([len(part) for part in each])
        prompts = torch.nn.utils.rnn.pad_sequence(each, batch_first=True)
        return Text(prompts, torch.arange(prompts.shape[1]) < counts[:, None], names)


def _single(x: Array, name: str) -> Array:
    """Rows `[n, d]` in single precision. Raises `ValueError` where their lengths are lost there."""
    with np.errstate(over="ignore"):
        found = np.array(x, np.float32)
        lengths = np.linalg.norm(found, axis=1)
    lost = ~np.isfinite(lengths) | ((lengths < LEAST) & x.any(axis=1))
    if lost.any():
        raise ValueError(
            f"row {int(lost.argmax())} of {name} has no length in single precision, which holds "
            f"{LEAST:.0e} to 1e+19; check that its values are finite, and scale all embeddings."
        )
    return found


def _numpy(values: Any) -> Any:
    """Tensors as arrays; all else as it is, for scikit-learn to look at."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values
