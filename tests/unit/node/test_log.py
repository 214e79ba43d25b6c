"""Log lines: readable by machines, and never the end of a node."""

from __future__ import annotations

import errno
import io
import json

import pytest
import structlog

from node.log import configure_logging, node_logger


@pytest.fixture(autouse=True)
def restored():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class FullDisk(io.StringIO):
    """A stream that takes nothing while it is `full`."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_lines_are_json_with_their_fields():
    out = io.StringIO()
    configure_logging("json", "info", out)
    log = node_logger("ada")
    log.debug("quiet")
    log.warning("peer.refused", code="CLOCK_SKEW", peer=b"\x01\xff")
    (line,) = out.getvalue().splitlines()
    found = json.loads(line)
    assert (found["event"], found["node"], found["level"]) == ("peer.refused", "ada", "warning")
    assert (found["code"], found["peer"]) == ("CLOCK_SKEW", "01ff")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_full_disk_loses_lines_and_nothing_else(form):
    out = FullDisk()
    configure_logging(form, "debug", out)
    log = node_logger("ada")
    for say in (log.debug, log.info, log.warning, log.error, log.critical):
        say("lost")
    out.full = False
    log.error("kept")
    assert "kept" in out.getvalue()
    assert "lost" not in out.getvalue()
