"""The tables of docs/encoding.md, of what was measured on a CPU and on CUDA."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "encoding.md"
BEGIN, END = "<!-- make bench -->", "<!-- end of make bench -->"
CUDA = "<!-- make bench on CUDA -->"


def write_page(document: dict[str, Any]) -> None:
    """Put the table of what was measured where the page has room for it."""
    on_cpu = document["device"] == "cpu"
    begin, lines = (BEGIN, cpu_lines(document)) if on_cpu else (CUDA, cuda_lines(document))
    page = PAGE.read_text()
    if lines and begin in page:
        before, rest = page.split(begin)
        _, after = rest.split(END, 1)
        PAGE.write_text(before + "\n".join([begin, *lines, END]) + after)


def _models(document: dict[str, Any], part: str) -> list[str]:
    return [name for name, held in document.items() if isinstance(held, dict) and part in held]


def cpu_lines(document: dict[str, Any]) -> list[str]:
    lines = [
        f"{document['cores']} cores ({document['machine']}), {document['picture']}, torch "
        f"{document['versions']['torch']}; pictures a second, medians:",
        "",
        "| model | pictures | kB | batch | decoding alone | model alone | product | of what the "
        "cores allow | plain loop | times the plain loop | in processor seconds |",
        "| --- |" + " ---: |" * 10,
    ]
    for name in _models(document, "plain_loop"):
        m = document[name]
        lines.append(
            f"| {name} | {m['pictures']:,} | {m.get('kilobytes', '')} | {m['batch_size']} | "
            f"{m['decode_only']:,.0f} | "
            f"{m['forward_only']:,.1f} | {m['product']:,.1f} | "
            f"{m['share_of_what_cores_allow']:.2f} | {m['plain_loop']:,.1f} | "
            f"{m['times_the_plain_loop']:.2f} | {m.get('times_in_processor_seconds', '')} |"
        )
    if memory := document.get("peak_memory_mb"):
        few, many = sorted(int(count) for count in memory if count.isdigit())
        lines += ["", f"Memory of {many:,} pictures by that of {few:,}: {memory['ratio']:.2f}."]
    if alone := document.get("pipeline_alone"):
        lines += [
            "",
            f"The pipeline alone, as beside a card: {alone['decoders']} processes that sleep "
            f"{alone['milliseconds_a_picture']} ms a picture instead of decoding it, and a model "
            f"of no time. {alone['pictures']:,} pictures: {alone['decode_only']:,} a second from "
            f"the processes, {alone['product']:,} by the product, {alone['share']:.2f} of them.",
        ]
    return lines


def cuda_lines(document: dict[str, Any]) -> list[str]:
    decode = ", ".join(
        f"{rate:,} {words}"
        for name, words in (
            ("threads", "in threads"),
            ("processes", "in processes"),
            ("nvjpeg", "on the card"),
        )
        if isinstance(rate := document["decode"].get(name), int)
    )
    lines = [
        f"{document['device']} and {document['cores']} cores, {document['picture']}, torch "
        f"{document['versions']['torch']}; decoded alone: {decode} a second; the card makes "
        f"{document['card']['matrix_tflops']:,.0f} TFLOP/s in bf16 products. Pictures a second:",
        "",
        "| model | precision | batch | model alone | of the card's products | compiled | product "
        "| of the lower ceiling | after the first batch | plain loop |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in _models(document, "forward_only"):
        m = document[name]
        product = f"{median(m['product_img_per_s']):,.0f}" if "product_img_per_s" in m else ""
        share = f"{m['share_of_ceiling']:.2f}" if "share_of_ceiling" in m else ""
        after = f"{_after_the_first_batch(document, name):.2f}" if "product" in m else ""
        lines.append(
            f"| {name} | {m['precision']} | {m['batch_size']} | {m['forward_only']:,} | "
            f"{m.get('share_of_matrix_rate', 0):.2f} | {m.get('forward_compiled', '')} | "
            f"{product} | {share} | {after} | {m.get('plain_loop', '')} |"
        )
    return lines


def _after_the_first_batch(document: dict[str, Any], model: str) -> float:
    """The share of the lower ceiling without what begins and ends a run, of the last round."""
    found, decode = document[model], document["decode"]
    last = found["product"]
    pictures = last["img_per_s"] * last["wall"] - last["batch_size"]
    seconds = last["wall_until_the_last_picture"] - last["wall_until_the_first_batch"]
    return float(
        pictures / seconds / min(max(decode["threads"], decode["processes"]), found["forward_only"])
    )
