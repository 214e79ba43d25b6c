"""The public face for other people's programs: re-exports only, no logic of its own."""
