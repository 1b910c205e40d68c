"""Settings as people type them become a checked config, or a sentence that says why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import ValidationError

from adapters.expression import field_of, leaves
from adapters.method import Method
from featcache.errors import ConfigError, UnknownNameError
from featcache.typed import literal, split


@dataclass(frozen=True)
class Setting:
    """One field of a method's config, for listings."""

    name: str
    default: Any
    description: str


def configure(name: str, method: Method, settings: Mapping[str, Any]) -> tuple[Any, frozenset[str]]:
    """The config that the settings ask for, and the fields that they fix.

    `preset` names one of the method's presets; other settings override it. Raises
    `UnknownNameError` or `ConfigError`.
    """
    if method.parts:
        return _configure_parts(name, method, settings)
    own = {key.removeprefix(f"{name}."): value for key, value in settings.items()}
    if (preset := own.pop("preset", None)) is not None:
        if preset not in method.presets:
            raise UnknownNameError(f"preset of {name}", str(preset), method.presets)
        own = {**method.presets[preset], **own}
    known = [field.name for field in fields(method.config)]
    for key in own:
        if key not in known:
            raise UnknownNameError(f"setting of {name}", key, [*known, "preset"])
    try:
        return method.config(**own), frozenset(own)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "settings"
        message = first["msg"][0].lower() + first["msg"][1:]
        raise ConfigError(f"{name}: {key} = {first['input']!r}: {message}.") from None


def _configure_parts(
    name: str, method: Method, settings: Mapping[str, Any]
) -> tuple[Any, frozenset[str]]:
    """Each part configured with the settings that carry its name before a dot."""
    known = leaves(name)
    fields_of_parts = {field_of(part) for part in method.parts}
    for key in settings:
        if key.partition(".")[0] not in known and key not in fields_of_parts:
            raise UnknownNameError(f"setting of {name}", key, [f"{leaf}.…" for leaf in known])
    configs, fixed = {}, set[str]()
    for part, inner in method.parts.items():
        own = {
            k: v for k, v in settings.items() if "." in k and k.partition(".")[0] in leaves(part)
        }
        saved = settings.get(field_of(part), {})
        configs[field_of(part)], mine = configure(part, inner, {**saved, **own})
        fixed |= {f"{field_of(part)}.{key}" for key in mine}
    return method.config(**configs), frozenset(fixed)


def parse(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` pairs as a mapping; a value is read as JSON where it is JSON, else as text.

    Raises `ConfigError` for a pair without `=`, or a key that stands twice.
    """
    return {key: literal(value) for key, value in split("--set", pairs).items()}


def settings(method: Method) -> list[Setting]:
    """The fields of a method's config with defaults and descriptions."""
    infos = getattr(method.config, "__pydantic_fields__", {})
    return [Setting(name, info.default, info.description or "") for name, info in infos.items()]
