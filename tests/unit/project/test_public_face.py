"""The public face: every name it offers is there, is what its module defines, and is loaded when it is first used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import gridchain


@pytest.mark.parametrize("name", gridchain.__all__)
def test_a_name_is_what_its_module_defines(name: str) -> None:
    assert getattr(gridchain, name) is getattr(import_module(gridchain._WHERE[name]), name)


def test_there_is_nothing_else() -> None:
    assert set(gridchain._WHERE) == set(gridchain.__all__) <= set(dir(gridchain))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = gridchain.Nothing


def test_tests_of_contracts_do_not_load_the_client() -> None:
    code = "import sys, gridchain.testing; sys.exit('aiohttp' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
