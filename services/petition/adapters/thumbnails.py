"""Small pictures of images, made in a child process with limits: a hostile image ends there, and the file has none."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from pathlib import Path
from typing import IO

from services.chassis import child
from services.chassis.refusal import Invalid

log = logging.getLogger(__name__)

SIDE = 256
# The largest photos of phones have 200 million pixels, but a child of this size draws no more than these.
MOST_PIXELS = 64_000_000
LIMITS = child.Limits(seconds=20, memory_mb=640, output_mb=1)
# Each child is a process of its own; more at once would need the machine's memory instead of ours.
AT_ONCE = 2
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")

_turns = threading.BoundedSemaphore(AT_ONCE)


def of(image: Path, wait_s: float) -> bytes:
    """A JPEG of at most 256 pixels a side; b"" when none can be made of it, or not in time."""
    if not _turns.acquire(timeout=max(0.0, wait_s)):
        return b""
    try:
        return child.run(f"{__name__}:draw", image, LIMITS)
    except (child.TooMuch, Invalid) as error:
        log.info("no small picture", extra={"fields": {"error": type(error).__name__}})
        return b""
    finally:
        _turns.release()


def draw(source: IO[bytes], out: IO[bytes]) -> None:
    """Runs in the child. What makes the picture too large or unreadable ends it."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    with Image.open(source, formats=FORMATS) as image:
        # JPEG can be read at an eighth of its size.
        image.draft("RGB", (SIDE * 2, SIDE * 2))
        image.thumbnail((SIDE, SIDE))
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    paper = Image.new("RGB", upright.size, "white")
    paper.paste(upright, mask=upright.getchannel("A"))
    drawn = io.BytesIO()
    paper.save(drawn, "JPEG", quality=80)
    out.write(drawn.getvalue())
