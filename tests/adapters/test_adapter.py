"""A fitted adapter: kept, taken up again, and asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import adapters
from adapters import adapter, card
from adapters.compose import get
from adapters.episode import Query
from adapters.registry import names
from featcache.errors import CacheError, MethodError
from tests import frozen
from tests.adapters.short import short
from tests.enriched import enriched
from tests.entries import make_entry


@pytest.mark.parametrize("method", [name for name in names() if not get(name).needs])
def test_saved_and_loaded_it_scores_the_same(tmp_path: Path, method: str) -> None:
    entry = make_entry(tmp_path)
    drawn = adapters.draw(entry, 4, 1)
    fitted = adapters.fit(entry, method, shots=4, **short(method)).adapter
    again = adapters.load(fitted.save(tmp_path / "adapter"))
    torch.testing.assert_close(
        fitted.logits(drawn.test.x), again.logits(drawn.test.x), rtol=0, atol=0
    )
    assert again.config == fitted.config
    assert again.about["support"] == list(drawn.episode.support.ids)
    assert set(again.predict(drawn.test.x)) <= set(entry.classnames)


def test_other_classes_by_their_text(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    drawn = adapters.draw(entry, 4, 1)
    text = drawn.episode.text
    turned = adapters.Text(text.prompts.flip(0), text.mask.flip(0), text.classnames[::-1])
    fitted = adapters.fit(entry, "zero-shot", shots=4).adapter
    torch.testing.assert_close(
        fitted.with_text(turned).logits(drawn.test.x), fitted.logits(drawn.test.x).flip(1)
    )


def test_a_wrong_width_is_refused(tmp_path: Path) -> None:
    fitted = adapters.fit(make_entry(tmp_path), "zero-shot", shots=1).adapter
    with pytest.raises(CacheError, match="width 5"):
        fitted.logits(torch.zeros(2, 5))


@pytest.mark.parametrize("harm", ["nothing", "json", "tensors", "format"])
def test_a_damaged_adapter_is_one_sentence(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "adapter"
    if harm != "nothing":
        adapters.fit(make_entry(tmp_path), "zero-shot", shots=1).adapter.save(folder)
    if harm == "json":
        (folder / "adapter.json").write_text("{")
    if harm == "tensors":
        (folder / "adapter.safetensors").write_bytes(b"xxxx")
    if harm == "format":
        card = json.loads((folder / "adapter.json").read_text())
        (folder / "adapter.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(CacheError, match="adapter"):
        adapters.load(folder)


def test_new_classes_are_refused_where_parameters_belong_to_the_old(tmp_path: Path) -> None:
    drawn = adapters.draw(entry := make_entry(tmp_path), 2, 1)
    fitted = adapters.fit(entry, "gda", shots=2).adapter
    with pytest.raises(MethodError, match="gda has parameters for the classes it was fitted on"):
        fitted.with_text(drawn.episode.text)


def test_an_adapter_that_knows_no_width_takes_any(tmp_path: Path) -> None:
    """One that was put together by hand says nothing of where it comes from."""
    text = adapters.draw(make_entry(tmp_path), 1, 1).episode.text
    config = get("zero-shot").config()
    by_hand = adapters.Adapter("zero-shot", config, {"text": text.unit()}, text.classnames)
    assert by_hand.extras == ()
    fitted = adapters.fit(make_entry(tmp_path / "b"), "zero-shot", shots=1).adapter
    by_hand = replace(fitted, about={})
    assert by_hand.logits(torch.ones(2, 8)).shape == (2, 3)
    with pytest.raises(RuntimeError):
        by_hand.logits(torch.ones(2, 5))


@pytest.mark.parametrize("name", ["gda", "stata", "transclip"])
def test_embeddings_of_any_precision_are_asked_and_what_is_no_rows_refused(
    tmp_path: Path, name: str
) -> None:
    fitted = adapters.fit(make_entry(tmp_path), name, shots=2).adapter
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    plain = fitted.logits(x)
    torch.testing.assert_close(fitted.logits(x.double()), plain)
    torch.testing.assert_close(fitted.logits(x.T.contiguous().T), plain, atol=1e-4, rtol=1e-4)
    for kind in (torch.half, torch.bfloat16):
        torch.testing.assert_close(fitted.logits(x.to(kind)), fitted.logits(x.to(kind).float()))
    assert fitted.logits(torch.ones(2, 8, dtype=torch.long)).shape == (2, 3)
    assert fitted.logits(x[:0]).shape == (0, 3)
    for shape in ((8,), (2, 4, 8)):
        with pytest.raises(CacheError, match=r"give a single one as x\[None\]"):
            fitted.logits(torch.ones(shape))


def test_what_a_query_holds_beside_them_may_be_of_any_precision_too(tmp_path: Path) -> None:
    fitted = adapters.fit(enriched(make_entry(tmp_path)), "prolip", shots=2).adapter
    x, pre = (torch.randn(4, width, generator=torch.Generator().manual_seed(0)) for width in (8, 9))
    plain = fitted.logits(Query(x, pre))
    torch.testing.assert_close(fitted.logits(Query(x.double(), pre.double())), plain)
    halves = Query(x.half(), pre.half())
    torch.testing.assert_close(fitted.logits(halves), fitted.logits(Query(x, pre.half().float())))


@pytest.mark.parametrize("scale", [1e25, 1e-30])
def test_embeddings_whose_lengths_are_lost_are_refused(tmp_path: Path, scale: float) -> None:
    """All of them had the same scores, and so the same class."""
    fitted = adapters.fit(make_entry(tmp_path), "gda", shots=2).adapter
    with pytest.raises(CacheError, match="4 of 4 embeddings have no length in single precision"):
        fitted.predict(torch.ones(4, 8) * scale)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_no_class_is_named_for_embeddings_that_are_not_finite(tmp_path: Path, value: float) -> None:
    fitted = adapters.fit(make_entry(tmp_path), "gda", shots=2, calibrate=True).adapter
    x = torch.ones(4, 8)
    assert len(fitted.predict(x)) == len(fitted.sets(x, 0.5)) == 4
    x[1, 0] = x[3, 5] = value
    assert fitted.logits(x).isfinite().all(1).tolist() == [True, False, True, False]
    for ask in (fitted.predict, lambda x: fitted.sets(x, 0.5)):
        with pytest.raises(MethodError, match="gda gives scores that are not finite to 2 of 4 pic"):
            ask(x)


def test_only_features_of_pictures_are_asked_for_again(tmp_path: Path) -> None:
    fitted = adapters.fit(make_entry(tmp_path), "zero-shot", shots=1).adapter
    told = replace(fitted, about={"extras": ["negative prompts", "patches"]})
    assert told.extras == ("patches",)
    with pytest.raises(CacheError, match="fitted on patches beside embeddings"):
        told.logits(torch.ones(2, 8))


def test_a_card_is_readable_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = adapters.fit(make_entry(tmp_path), "ncm", shots=1).adapter.save(tmp_path / "a")
    card = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
    assert (card["format"], card["method"]) == (3, "ncm")
    assert card["classnames"] == ["cat", "dog", "emu"]
    (folder / "adapter.safetensors").unlink()
    with pytest.raises(CacheError, match=r"\(adapter\.safetensors is missing\)"):
        adapters.load(folder)


def test_tensors_that_share_memory_are_kept_apart(tmp_path: Path) -> None:
    fitted = adapters.fit(make_entry(tmp_path), "zero-shot", shots=1).adapter
    both = torch.arange(6.0).reshape(2, 3)
    kept = replace(fitted, about={}, state={"a": both, "b": both, "turned": both.T})
    state = adapters.load(kept.save(str(tmp_path / "deep" / "er"))).state
    assert {name: value.tolist() for name, value in state.items()} == {
        "a": both.tolist(), "b": both.tolist(), "turned": both.T.tolist(),
    }  # fmt: skip


def test_it_stays_as_it_was_made() -> None:
    assert frozen.thawed(adapter) == []


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return adapters.fit(make_entry(tmp_path), "gda", shots=1).adapter.save(tmp_path / "saved")


def test_no_bit_of_a_card_or_a_state_changes_unseen(saved: Path) -> None:
    """Every bit of the card, and every 13th of the state."""
    state, text = (
        (saved / "adapter.safetensors").read_bytes(),
        (saved / "adapter.json").read_bytes(),
    )
    assert card.read(text, state)["method"] == "gda"
    for bit in range(8 * len(text)):
        with pytest.raises(ValueError, match=r"\w"):
            card.read(_flipped(text, bit), state)
    for bit in range(0, 8 * len(state), 13):
        with pytest.raises(ValueError, match="as their sum says"):
            card.read(text, _flipped(state, bit))


def _flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _as_before(folder: Path, **changes: object) -> None:
    """The card of format 2, which has no sum, with some changes; None takes a key away."""
    held = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
    held = {k: v for k, v in {**held, "format": 2, "sum": None, **changes}.items() if v is not None}
    (folder / "adapter.json").write_text(json.dumps(held), encoding="utf-8")


def test_an_adapter_of_before_has_no_sum_and_opens(saved: Path) -> None:
    whole = adapters.load(saved)
    _as_before(saved)
    again = adapters.load(saved)
    assert (again.config, again.classnames, again.about) == (
        whole.config, whole.classnames, whole.about,
    )  # fmt: skip


HOSTILE: dict[str, dict[str, object]] = {
    "says no method": {"method": None},
    "says no config": {"config": None},
    "says no classnames": {"classnames": None},
    "says no about": {"about": None},
    "method in adapter.json is 3": {"method": 3},
    "unknown method 'gdda'": {"method": "gdda"},
    "its state does not fit tip-adapter": {"method": "tip-adapter", "config": {}},
    "unknown setting of gda 'beta'": {"config": {"beta": 1}},
    "gda: alpha = 'x'": {"config": {"alpha": "x"}},
    "it scores 3 classes and names 2": {"classnames": ["cat", "dog"]},
    "classnames in adapter.json is no list": {"classnames": ["cat", 3, None]},
    "classnames in adapter.json is 'cat'": {"classnames": "cat"},
    "about in adapter.json is \\[\\]": {"about": []},
    "shots in adapter.json is 'four'": {"about": {"shots": "four"}},
    "seed in adapter.json is True": {"about": {"seed": True}},
    "entry in adapter.json is \\['x'\\]": {"about": {"entry": ["x"]}},
    "this version reads 3": {"format": 99},
    "has format '3'": {"format": "3"},
    "has no sum": {"format": 3},
}


@pytest.mark.parametrize("told", HOSTILE)
def test_what_a_stranger_wrote_is_one_sentence(saved: Path, told: str) -> None:
    _as_before(saved, **HOSTILE[told])
    with pytest.raises(CacheError, match=rf"^the adapter in .* is damaged \(.*{told}.*\); fit it"):
        adapters.load(saved)


@pytest.mark.parametrize("text", ["[]", "3", "", "[" * 100_000, '{"format": 2}'])
def test_a_card_that_is_none(saved: Path, text: str) -> None:
    (saved / "adapter.json").write_text(text)
    with pytest.raises(CacheError, match="is damaged"):
        adapters.load(saved)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_state_that_is_not_finite_is_neither_saved_nor_opened(saved: Path, value: float) -> None:
    from safetensors.torch import save_file

    whole = adapters.load(saved)
    name = next(name for name, tensor in whole.state.items() if tensor.is_floating_point())
    state = {key: tensor.clone() for key, tensor in whole.state.items()}
    state[name].view(-1)[-1:] = value
    with pytest.raises(CacheError, match=f"gda learned {name}, which is not finite"):
        replace(whole, state=state).save(saved / "in")
    assert not (saved / "in").exists()
    save_file(state, saved / "adapter.safetensors")
    _as_before(saved)
    with pytest.raises(CacheError, match=f"{name} holds values that are not finite"):
        adapters.load(saved)


def test_a_state_of_another_shape_is_one_sentence(saved: Path) -> None:
    from safetensors.torch import save_file

    save_file(
        {k: t[..., :1].clone() for k, t in adapters.load(saved).state.items() if t.ndim},
        saved / "adapter.safetensors",
    )
    _as_before(saved)
    with pytest.raises(CacheError, match="its state does not fit gda"):
        adapters.load(saved)


def test_what_cannot_be_written_leaves_what_was_there(saved: Path) -> None:
    whole, before = adapters.load(saved), (saved / "adapter.json").read_bytes()
    with pytest.raises(CacheError, match="cannot write"):
        whole.save(saved / "adapter.json" / "in")
    assert (saved / "adapter.json").read_bytes() == before
    assert sorted(path.name for path in saved.iterdir()) == ["adapter.json", "adapter.safetensors"]


def test_a_disk_that_does_not_give_it_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CacheError, match=r"cannot be read \(Input/output error\); see to the disk"):
        adapters.load(tmp_path)
