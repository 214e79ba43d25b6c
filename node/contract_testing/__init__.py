"""Tests of contracts: a chain in memory with the real executor, handles of instances, the pytest plugin."""
