"""Configuration: precedence, unknown keys with the nearest name, development settings."""

from __future__ import annotations

import pytest

from ledger.errors import ConfigError
from node.config import NodeConfig, load_config


def write(tmp_path, text):
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    return tmp_path


def refusal(tmp_path, text, environment=None, flags=None):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text), flags, environment or {})
    return caught.value


def test_flag_beats_environment_beats_file_beats_default(tmp_path):
    home = write(tmp_path, "[api]\nport = 1\nmax_subscribers = 11\nping_ms = 111\n")
    config = load_config(
        home, {"api": {"port": 3}}, {"GRIDCHAIN_API__PORT": "2", "GRIDCHAIN_API__MAX_SUBSCRIBERS": "22"}
    )
    assert (config.api.port, config.api.max_subscribers, config.api.ping_ms) == (3, 22, 111)
    assert config.api.host == "127.0.0.1"


def test_lists_come_from_the_environment_as_json(tmp_path):
    config = load_config(write(tmp_path, ""), None, {"GRIDCHAIN_P2P__SEEDS": '["a:1", "b:2"]'})
    assert config.p2p.seeds == ("a:1", "b:2")


def test_paths_are_relative_to_the_home(tmp_path):
    config = load_config(write(tmp_path, '[node]\ndata = "elsewhere"\nwal = "/abs"\n'), None, {})
    assert config.path(config.node.data) == tmp_path / "elsewhere"
    assert str(config.path(config.node.wal)) == "/abs"


def test_building_one_by_hand_reads_neither_environment_nor_file(monkeypatch):
    monkeypatch.setenv("GRIDCHAIN_API__PORT", "1234")
    assert NodeConfig().api.port == 8600


@pytest.mark.parametrize(
    ("text", "environment", "hint"),
    [
        ("[api]\nprot = 1\n", {}, "port"),
        ("[mempol]\nmax_bytes = 1\n", {}, "mempool"),
        ("[p2p]\nsedes = []\n", {}, "seeds"),
        ("", {"GRIDCHAIN_APY__PORT": "1"}, "api"),
        ("", {"GRIDCHAIN_API__PROT": "1"}, "port"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest_name(tmp_path, text, environment, hint):
    error = refusal(tmp_path, text, environment)
    assert error.code == "CONFIG_UNKNOWN_KEY"
    assert error.fix == f"did you mean {hint}?"


def test_an_unknown_key_without_a_near_one_lists_the_known(tmp_path):
    error = refusal(tmp_path, "[dev]\nzzz = 1\n")
    assert error.code == "CONFIG_UNKNOWN_KEY"
    assert "clock_offset_ms" in error.fix


@pytest.mark.parametrize(
    "text", ['[api]\nport = "x"\n', "[api]\nport = 70000\n", "api = 3\n", '[log]\nlevel = "loud"\n']
)
def test_bad_values_are_named(tmp_path, text):
    error = refusal(tmp_path, text)
    assert error.code == "CONFIG_VALUE"
    assert error.message.split()[0].split(".")[0] in ("api", "log")
    assert error.found is not None


def test_what_is_no_toml_and_what_is_not_there(tmp_path):
    assert refusal(tmp_path, "[api\n").code == "CONFIG_SYNTAX"
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "nowhere", None, {})
    assert caught.value.code == "CONFIG_MISSING"
    assert "gridchain init" in caught.value.fix


def test_other_variables_are_left_alone(tmp_path):
    config = load_config(write(tmp_path, ""), None, {"GRIDCHAIN_PASSPHRASE": "x", "GRIDCHAIN_URL": "u", "HOME": "/h"})
    assert config.home == tmp_path


def test_development_settings_only_on_development_chains():
    config = NodeConfig(dev={"clock_offset_ms": 6000})
    for name in ("dev-x", "bench-x", "demo-x"):
        config.check_chain(name)
    with pytest.raises(ConfigError) as caught:
        config.check_chain("cn-east")
    assert caught.value.code == "CONFIG_DEV"
    NodeConfig().check_chain("cn-east")


def test_frozen():
    with pytest.raises(Exception, match="frozen"):
        NodeConfig().api.port = 1
