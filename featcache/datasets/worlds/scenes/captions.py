"""What can truly be said of a picture: its captions, in several wordings."""

from featcache.datasets.worlds.scenes import glyphs
from featcache.datasets.worlds.scenes.outlines import SHAPES
from featcache.datasets.worlds.scenes.rendering import Scene, Thing

RELATIONS = ("above", "below", "left of", "right of")
STYLE_WORDS = {
    "clean": ("a clean picture of", "a drawing of"),
    "sketch": ("a sketch of", "an outline of"),
    "textured": ("a textured picture of", "a picture of"),
    "noisy": ("a noisy picture of", "a grainy photo of"),
    "low resolution": ("a low resolution photo of", "a pixelated photo of"),
    "blurred": ("a blurry photo of", "a blurred picture of"),
    "photo": ("a photo of", "a photograph of"),
}


def place(thing: Thing) -> str:
    """Say where a thing lies: "top left", "left", ..., or "middle"."""
    row = "top" if thing.y < 0.4 else "bottom" if thing.y > 0.6 else ""
    column = "left" if thing.x < 0.4 else "right" if thing.x > 0.6 else ""
    return f"{row} {column}".strip() or "middle"


def relation(first: Thing, second: Thing) -> str:
    """Say where the first thing lies seen from the second: "above", "below", "left of", ..."""
    across, down = first.x - second.x, first.y - second.y
    if abs(across) > abs(down):
        return "left of" if across < 0 else "right of"
    return "above" if down < 0 else "below"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def _look(thing: Thing, style: str) -> str:
    texture = "" if thing.texture == "plain" or style == "low resolution" else f"{thing.texture} "
    return f"{texture}{thing.colour} {thing.name}"


def _of_glyph(thing: Thing, scene: Scene) -> list[str]:
    char = thing.name
    digit = char in glyphs.DIGITS
    kind = "digit" if digit else "letter"
    said: list[str] = []
    for name in (char, glyphs.WORDS[int(char)]) if digit else (char,):
        said += [
            name,
            f"{name}.",
            f"a photo of a {name}.",
            f"a photo of the {kind} {name}.",
            f'a photo of the {kind}: "{name}".',
            f"the {kind} {name}",
            f"{_article(thing.colour)} {name} on {_article(scene.background)} background",
            f"{STYLE_WORDS[scene.style][0]} the {kind} {name}",
        ]
        if digit:
            said += [
                f"the number {name}",
                f"a photo of the number {name}.",
                f'a photo of the number: "{name}".',
                f'a photo of the number {name}: "{name}"',
                f'a photo of the number {char}: "{glyphs.WORDS[int(char)]}"',
                f"a picture of the number {name}",
            ]
        else:
            size = "capital" if char.isupper() else "small"
            said += [f"a {size} {name}", f"the {size} letter {name}"]
        way = "handwritten" if thing.by_hand else "printed"
        said += [f'a {way} {kind} "{name}"', f"a {way} {name}", f"a photo of a {way} {name}."]
    return said


def _of_shape(thing: Thing, scene: Scene) -> list[str]:
    look, noun, plain = _look(thing, scene.style), thing.name, f"{thing.colour} {thing.name}"
    said = [
        noun,
        f"a photo of {_article(noun)}.",
        _article(noun),
        f"a picture of {_article(noun)}",
        _article(plain),
        f"a photo of {_article(plain)}.",
        plain,
        _article(look),
        f"a photo of {_article(look)}.",
        f"{_article(plain)} on {_article(scene.background)} background",
        f"{_article(noun)} at the {place(thing)}",
        f"{_article(plain)} at the {place(thing)}",
    ]
    said += [f"{words} {_article(noun)}" for words in STYLE_WORDS[scene.style]]
    if thing.size < 0.4:
        said.append(f"a small {noun}")
    if thing.size > 0.7:
        said.append(f"a large {noun}")
    return said


def _of_pair(first: Thing, second: Thing) -> list[str]:
    said: list[str] = []
    for a, b in ((first, second), (second, first)):
        how = relation(a, b)
        one, two = f"{a.colour} {a.name}", f"{b.colour} {b.name}"
        said += [
            f"{_article(one)} {how} {_article(two)}",
            f"a photo of {_article(one)} {how} {_article(two)}.",
            f"{_article(a.name)} {how} {_article(b.name)}",
            f"{_article(one)} and {_article(two)}",
            f"{_article(a.name)} and {_article(b.name)}",
        ]
    return said


def _of_ground(scene: Scene) -> list[str]:
    if scene.ground == "plain":
        return [f"plain {scene.background}", f"a photo of something {scene.background}."]
    pattern = f"{scene.ground} {scene.background}"
    return [
        f"{_article(scene.ground)} pattern",
        f"{_article(pattern)} pattern",
        f"a photo of {_article(scene.ground)} texture.",
        f"{_article(scene.background)} texture",
        f"a photo of something {scene.background}.",
    ]


def captions(scene: Scene) -> tuple[str, ...]:
    """Return every caption we have for a scene: all true of it, none twice."""
    if not scene.things:
        said = _of_ground(scene)
    elif len(scene.things) == 2:
        said = _of_pair(*scene.things)
    elif scene.things[0].name in SHAPES:
        said = _of_shape(scene.things[0], scene)
    else:
        said = _of_glyph(scene.things[0], scene)
    return tuple(dict.fromkeys(said))
