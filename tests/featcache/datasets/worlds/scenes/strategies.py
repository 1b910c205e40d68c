"""Any scene, for properties that hold of all of them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from featcache.datasets.worlds.scenes.random_scenes import KINDS, random_scene

scenes = st.builds(
    lambda seed, kind: random_scene(np.random.default_rng(seed), kind=kind),
    st.integers(0, 2**32),
    st.sampled_from(KINDS),
)
