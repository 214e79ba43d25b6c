"""Conformance cases of the market specification, run through the contracts' own code."""
