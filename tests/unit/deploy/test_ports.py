"""Ports of local networks: busy ones are stepped over, claimed ones too, and a claim ends with its process."""

from __future__ import annotations

import socket
import subprocess
import sys
from itertools import islice

from deploy.ports import PortClaims, free_ports, is_free

HOLDER = """
import sys
from deploy.ports import PortClaims
claims = PortClaims()
print(claims.claim(int(sys.argv[1])), flush=True)
input()
"""


def test_a_busy_port_is_stepped_over() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert port not in list(islice(free_ports("127.0.0.1", port), 3))


def test_a_claim_holds_while_the_port_is_not_in_use_and_ends_with_its_process() -> None:
    port = next(free_ports("127.0.0.1", 0))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        claims = PortClaims()
        assert is_free("127.0.0.1", port)
        assert not claims.claim(port)
        holder.kill()
        holder.wait()
        assert claims.claim(port)
        assert claims.claim(port), "a claim is held, not counted"
        claims.release()
