from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import open_clip
import pytest

from featcache.backbones.names import BackboneName, names, parse
from featcache.errors import BackboneError, UnknownNameError


@pytest.mark.parametrize(
    ("spelling", "pretrained", "canonical"),
    [
        ("ViT-B/16", None, "ViT-B-16-quickgelu:openai"),
        ("ViT-B-16", None, "ViT-B-16-quickgelu:openai"),
        ("vit-b-16", "OpenAI", "ViT-B-16-quickgelu:openai"),
        ("ViT-B-16:openai", None, "ViT-B-16-quickgelu:openai"),
        ("ViT-B-16-quickgelu", None, "ViT-B-16-quickgelu:openai"),
        ("ViT-B-16-QuickGELU,openai", "openai", "ViT-B-16-quickgelu:openai"),
        ("ViT-L/14@336px", None, "ViT-L-14-336-quickgelu:openai"),
        ("RN50", None, "RN50-quickgelu:openai"),
        ("rn50X64", None, "RN50x64-quickgelu:openai"),
        ("open_clip:ViT-B-32/openai", None, "ViT-B-32-quickgelu:openai"),
        ("ViT-B-16,laion2b_s34b_b88k", None, "ViT-B-16:laion2b_s34b_b88k"),
        ("ViT-B/32:laion2b-s34b-b79k", None, "ViT-B-32:laion2b_s34b_b79k"),
        ("ViT-B/32", "LAION2B-s34b-b79k", "ViT-B-32:laion2b_s34b_b79k"),
        ("open_clip:ViT-B-32/laion2b_s34b_b79k", None, "ViT-B-32:laion2b_s34b_b79k"),
        ("Open_CLIP:ViT-B/32", None, "ViT-B-32-quickgelu:openai"),
        ("ViT-B-16:dfn2b", None, "ViT-B-16-quickgelu:dfn2b"),
        ("ViT-L-14", "metaclip-fullcc", "ViT-L-14-quickgelu:metaclip_fullcc"),
        ("RN50-quickgelu:yfcc15m", None, "RN50-quickgelu:yfcc15m"),
        ("vit-b-16-siglip:webli", None, "ViT-B-16-SigLIP:webli"),
        ("roberta-ViT-B-32:laion2b_s12b_b32k", None, "roberta-ViT-B-32:laion2b_s12b_b32k"),
        ("hf-hub:timm/ViT-B-16-SigLIP", None, "hf-hub:timm/ViT-B-16-SigLIP"),
        ("HF-Hub:a/B", None, "hf-hub:a/B"),
        ("local-dir:./My Models/a:b", None, "local-dir:./My Models/a:b"),
        (" Demo ", None, "demo"),
    ],
)
def test_spellings(spelling: str, pretrained: str | None, canonical: str) -> None:
    name = parse(spelling, pretrained)
    assert name.canonical == canonical
    assert parse(canonical) == name
    assert parse(canonical).slug == name.slug


def test_slugs_are_one_folder_name() -> None:
    assert parse("ViT-B/16").slug == "ViT-B-16-quickgelu_openai"
    assert parse("hf-hub:org/repo").slug == "hf-hub_org_repo"
    assert parse("local-dir:/some/where/../My Model/").slug == "local-dir_My_Model"
    assert parse("local-dir:..").slug.startswith("local-dir")


def test_every_name_means_itself_and_has_the_activation_of_its_weights() -> None:
    all_names = names()
    assert all_names[0] == BackboneName("demo")
    assert len(all_names) == len(set(all_names)) > 100
    for name in all_names[1:]:
        assert parse(name.canonical) == name
        wants = open_clip.get_pretrained_cfg(name.model, name.tag).get("quick_gelu", False)
        has = open_clip.get_model_config(name.model).get("quick_gelu", False)
        assert has == wants or name.model == "roberta-ViT-B-32"  # says so wrongly in open_clip


@pytest.mark.parametrize(
    ("spelling", "pretrained", "message"),
    [
        ("ViT-B-3", None, "unknown backbone 'ViT-B-3'; did you mean .*ViT-B-32"),
        ("ViT-B-32:laion2b_s34b", None, "unknown tag of ViT-B-32 .*laion2b_s34b_b79k"),
        ("ViT-H-14", None, "unknown tag of ViT-H-14 'openai'.*laion2b_s32b_b79k"),
    ],
)
def test_unknown_names_offer_the_nearest(
    spelling: str, pretrained: str | None, message: str
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        parse(spelling, pretrained)


@pytest.mark.parametrize(
    ("spelling", "pretrained", "message"),
    [
        ("ViT-B-32-quickgelu:laion2b_s34b_b79k", None, "plain GELU; write ViT-B-32:laion2b"),
        ("ViT-B-32:openai", "laion2b_e16", "give one"),
        ("demo", "openai", "brings its own weights"),
        ("local-dir:x", "openai", "brings its own weights"),
        ("hf-hub:", None, "names nothing"),
        ("ViT-B-32", "weights/epoch_9.pt", "write local-dir:FOLDER"),
        ("ViT-B-32", "model.safetensors", "write local-dir:FOLDER"),
    ],
)
def test_contradictions_are_refused(spelling: str, pretrained: str | None, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        parse(spelling, pretrained)


def test_light_spellings_import_nothing_heavy() -> None:
    code = (
        "import sys; from featcache.backbones.names import parse; parse('ViT-B/16'); parse('demo');"
        "assert not {'torch', 'open_clip'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
