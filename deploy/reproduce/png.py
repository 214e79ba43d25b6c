"""A drawing as PNG, on white, by Pillow: drawn at four times the size of the layout and halved, which smooths the
edges."""

from __future__ import annotations

import math
from functools import cache
from io import BytesIO
from itertools import pairwise
from typing import Final, assert_never

from PIL import Image, ImageDraw, ImageFont

from deploy.reproduce.layout import Dot, Drawing, Path, Words
from deploy.reproduce.svg import LIGHT

_SCALE: Final = 4
_HALF: Final = 2
_DASH: Final = (6.0, 4.0)
_FAINT: Final = 0.22
_INSTEAD: Final = {
    "−": "-",
    "≤": "<=",
    "≥": ">=",
    "≈": "about",
    "×": "x",
    "…": "...",
    "·": "x",
    "’": "'",
    "\u202f": " ",
}


def _colour(ink: str, *, faint: bool = False) -> tuple[int, int, int]:
    red, green, blue = (int(LIGHT[ink][at : at + 2], 16) for at in (1, 3, 5))
    if not faint:
        return red, green, blue
    return _lighter(red), _lighter(green), _lighter(blue)


def _lighter(part: int) -> int:
    return round(255 - (255 - part) * _FAINT)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SCALE)


def _pieces(points: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """The dashes of a polyline."""
    found: list[list[tuple[float, float]]] = []
    left, on = _DASH[0], True
    for (x0, y0), (x1, y1) in pairwise(points):
        length, done = math.hypot(x1 - x0, y1 - y0), 0.0
        while length - done > 1e-9:
            part = min(left, length - done)
            ends = [done / length, (done + part) / length]
            if on:
                found.append([(x0 + (x1 - x0) * at, y0 + (y1 - y0) * at) for at in ends])
            done, left = done + part, left - part
            if left <= 1e-9:
                on = not on
                left = _DASH[0] if on else _DASH[1]
    return found


@cache
def _shown(char: str) -> str:
    """A character as the library's font has it: without a picture of its own it is written in other characters."""
    font = _font(12)
    if font.getmask(char).getbbox() is None or bytes(font.getmask(char)) != bytes(font.getmask("\uffff")):
        return char
    return _INSTEAD.get(char, "?")


class _Canvas:
    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width * _SCALE, height * _SCALE), "#ffffff")
        self.pen = ImageDraw.Draw(self.image)

    def path(self, path: Path) -> None:
        points = [(x, y) for x, y in path.points]
        colour = _colour(path.ink, faint=path.faint)
        if path.filled:
            self.pen.polygon([(x * _SCALE, y * _SCALE) for x, y in points], fill=colour)
            return
        for piece in _pieces(points) if path.dashed else [points]:
            scaled = [(x * _SCALE, y * _SCALE) for x, y in piece]
            self.pen.line(scaled, fill=colour, width=round(path.width * _SCALE), joint="curve")

    def dot(self, dot: Dot) -> None:
        x, y, radius = dot.x * _SCALE, dot.y * _SCALE, dot.radius * _SCALE
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_colour(dot.ink))

    def words(self, words: Words) -> None:
        """A text on its base line; a bold one is drawn with a thin edge, for the library has one weight only."""
        font, edge = _font(words.size), 1 if words.bold else 0
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
        x, y = words.x * _SCALE, words.y * _SCALE
        text = "".join(map(_shown, words.text))
        if not words.upright:
            self.pen.text((x, y), text, fill=_colour(words.ink), font=font, anchor=anchor, stroke_width=edge)
            return
        left, top, right, bottom = self.pen.textbbox((0, 0), text, font=font, anchor="ls")
        ink = Image.new("L", (math.ceil(right - left) + 4, math.ceil(bottom - top) + 4), 0)
        ImageDraw.Draw(ink).text((2 - left, 2 - top), text, fill=255, font=font, anchor="ls")
        turned = ink.rotate(90, expand=True)
        place = (round(x + top), round(y - turned.height / 2))
        self.image.paste(Image.new("RGB", turned.size, _colour(words.ink)), place, turned)


def png(drawing: Drawing) -> bytes:
    """The drawing as a PNG file of twice the layout's size."""
    canvas = _Canvas(drawing.width, drawing.height)
    for stroke in drawing.strokes:
        match stroke:
            case Path():
                canvas.path(stroke)
            case Dot():
                canvas.dot(stroke)
            case Words():
                canvas.words(stroke)
            case _:
                assert_never(stroke)
    size = (drawing.width * _SCALE // _HALF, drawing.height * _SCALE // _HALF)
    file = BytesIO()
    canvas.image.resize(size, Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()
