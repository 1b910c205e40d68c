"""Names and files of methods, one to one."""

from __future__ import annotations

from adapters import registry


def test_each_name_has_its_own_file() -> None:
    files = [registry.file(name) for name in registry.names()]
    assert len(set(files)) == len(files)
    assert sorted(files) == sorted(p for p in registry.METHODS.glob("*.py") if p.stem[0] != "_")


def test_a_file_name_spells_out_what_it_cannot_hold() -> None:
    assert registry.file("tip-adapter-f").name == "tip_adapter_f.py"
