"""Pictures a second from JPEG files to shards, by stage, beside the loop that people write.

    python benchmarks/encoding.py [--device auto] [--model demo --model ViT-B-32] [--rounds 3]

The weights are random (but those of demo): speed does not depend on them. Pictures are 500 x 375
JPEGs made on the spot. What is compared is measured in turn, several times; medians are given. On a
CPU: decoding alone, the model alone, the product, the plain loop, and memory for many and few
pictures. On CUDA: the card's rate of matrix products, decoding in threads, in processes and on the
card, and each model as it is and compiled. Writes benchmarks/results/encoding-<device>.json after
each part, and its table into docs/encoding.md (--page FILE: of what another machine wrote).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from encoding_parts.on_cpu import on_cpu, peak
from encoding_parts.on_cuda import on_cuda
from encoding_parts.page import write_page
from encoding_parts.result import Result

from featcache import load_backbone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", action="append")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=0, help="0: 3, of ViT-L-14 on CUDA 2")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=0, help="of the fast measurements")
    parser.add_argument("--no-page", action="store_true", help="leave docs/encoding.md as it is")
    parser.add_argument("--page", type=Path, help="only: the table of what was measured elsewhere")
    parser.add_argument("--peak", type=int, help="only: peak memory in MB of encoding so many")
    arguments = parser.parse_args()
    if arguments.page:
        write_page(json.loads(arguments.page.read_text()))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if arguments.peak is not None:
            print(peak(arguments.peak, folder))
            return
        kind = load_backbone("demo", device=arguments.device).device.type
        result = Result(kind)
        measure = on_cuda if kind == "cuda" else on_cpu
        measure(result, arguments, folder)
    if not arguments.no_page:
        write_page(result.document)


if __name__ == "__main__":
    main()
