"""Write the golden vectors anew: `python tests/conformance/regenerate.py`. Review each changed line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VECTORS = HERE / "vectors"


def text_of(vectors: dict[str, Any]) -> str:
    """The content of a file of vectors."""
    return json.dumps(vectors, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def main() -> int:
    """Write all files; print those that changed."""
    root = HERE.parents[1]
    sys.path[:0] = [str(root), str(root / "tests" / "support"), str(HERE)]
    from golden_formats import FILES

    VECTORS.mkdir(exist_ok=True)
    for name, make in FILES.items():
        path, text = VECTORS / f"{name}.json", text_of(make())
        if not path.exists() or path.read_text(encoding="ascii") != text:
            path.write_text(text, encoding="ascii")
            print(f"changed: {path.relative_to(root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
