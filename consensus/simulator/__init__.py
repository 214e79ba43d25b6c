"""The seeded world that drives engines directly, in virtual time."""
