"""Make the README's pictures from a real run: `python -m deploy.picture docs/images`.

Writes `demo-live.svg`, the live page shortly after the killed validator is back, and `demo.svg`, the result card. With
the letter of another market behind the folder the names end in it.
"""

from __future__ import annotations

import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType

from deploy.card import render
from deploy.demo import play
from deploy.demo_options import DemoOptions
from deploy.market.roster import DEFAULT
from deploy.screen import Screen, page
from node.cli.output import run_async

WIDTH = 112


class Camera(Screen):
    """A plain screen that keeps the live page as it was when the killed validator was back."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, live=False)
        self.taken: str | None = None

    def update(self) -> None:
        """As a screen does; then look whether the moment has come."""
        super().update()
        progress = self._progress
        if progress is None or self.taken is not None or len(progress.notes) < 3:
            return
        if all(node.state in ("ok", "leader") for node in progress.nodes):
            self.taken = drawing(page(progress), "gridchain demo")


def drawing(shown: RenderableType, title: str) -> str:
    """A renderable as SVG."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(shown)
    # Without the web font of the template: a picture in a repository loads nothing.
    return re.sub(r"@font-face \{.*?\}", "", console.export_svg(title=title), flags=re.DOTALL)


def main(folder: Path, market: str = DEFAULT) -> None:
    """Run the demo of a market and write both pictures into `folder`."""
    camera, end = Camera(Console(stderr=True)), "" if market == DEFAULT else f"-{market}"
    result = run_async(play(DemoOptions(market=market), camera))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"demo{end}.svg").write_text(drawing(render(result), "gridchain demo"), encoding="utf-8")
    if camera.taken is not None:
        (folder / f"demo-live{end}.svg").write_text(camera.taken, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
