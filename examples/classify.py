"""From pictures to answers with numpy, onnxruntime and Pillow alone.

    python examples/classify.py classifier PICTURE ...

`classifier` is a folder that `examples/export_classifier.py` wrote; no line of featcache is needed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

folder, names = Path(sys.argv[1]), sys.argv[2:]
about = json.loads((folder / "head.json").read_text(encoding="utf-8"))
tower, head = (
    onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])
    for name in ("tower.onnx", "head.onnx")
)


def prepared(name: str) -> np.ndarray:
    """The picture as the tower wants it: shorter edge to size, centre, normalised, [3, s, s]."""
    how = about["preprocess"]
    assert how["resize_mode"] == "shortest", how
    size, filters = how["size"], {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}
    picture = ImageOps.exif_transpose(Image.open(name)).convert("RGB")
    width, height = picture.size
    if height <= width:
        width, height = int(size * width / height), size
    else:
        width, height = size, int(size * height / width)
    picture = picture.resize((width, height), filters[how["interpolation"]])
    left, top = round((width - size) / 2), round((height - size) / 2)
    pixels = np.asarray(picture.crop((left, top, left + size, top + size)), np.float32) / 255
    normal = (pixels - np.float32(how["mean"])) / np.float32(how["std"])
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


(embeddings,) = tower.run(None, {"pictures": np.stack([prepared(name) for name in names])})
(probabilities,) = head.run(None, {about["input"]: embeddings})
for name, row in zip(names, probabilities, strict=True):
    print(f"{name}: {about['classes'][row.argmax()]} {100 * row.max():.1f} %")
