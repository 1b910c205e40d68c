"""What a process that decodes for another does: crops of what is asked for, into shared memory."""

from __future__ import annotations

import mmap
import os
import pickle
from typing import IO, Any

from featcache.encoding.decoding.crops import Maker, crops_for_all
from featcache.errors import DatasetError
from featcache.pictures.limit import limit_pixels

SLOT = 4 << 20  # bytes of crops that a chunk may fill; what has no room is sent in the message
OTHERS = "pictures cannot be decoded in other processes ({}); add --decode-in threads."


def send(pipe: IO[bytes], what: Any) -> None:
    """Write it so that the other end has it now; raises OSError where there is none."""
    pickle.dump(what, pipe, protocol=5)
    pipe.flush()


def serve(asking: IO[bytes], answering: IO[bytes], file: int) -> None:
    """Decode what is asked for until there is no more.

    First comes what makes crops, the limit of a picture's pixels and the working folder, which is
    answered with True; then chunks of pictures, each with the slot of `file` where its crops go.
    """
    makers, limit, folder, surroundings = pickle.load(asking)
    os.chdir(folder)
    for name in {*os.environ} - {*surroundings}:
        del os.environ[name]
    os.environ.update(surroundings)
    limit_pixels(limit)
    makers = [Maker(recipe, preprocess) for recipe, preprocess in makers]
    memory = memoryview(mmap.mmap(file, 0))
    send(answering, True)
    while True:
        try:
            given = pickle.load(asking)
        except EOFError:
            return
        if given is None:
            return
        asked, slot = given
        sizes: list[int] = []
        at = slot * SLOT

        def place(buffer: pickle.PickleBuffer, sizes: list[int] = sizes, at: int = at) -> bool:
            """Whether it has to go into the message, as there is no room for it here."""
            raw, begin = buffer.raw(), at + sum(sizes)
            if begin + len(raw) > at + SLOT:
                return True
            memory[begin : begin + len(raw)] = raw
            sizes.append(len(raw))
            return False

        try:
            given = crops_for_all(pickle.loads(asked), makers)
            send(answering, (sizes, pickle.dumps(given, protocol=5, buffer_callback=place), ""))
        except DatasetError as error:  # a store that cannot be reached
            send(answering, ([], b"", str(error)))
        except Exception as error:  # told where somebody can do something about it
            send(answering, ([], b"", OTHERS.format(f"{type(error).__name__}: {error}")))
