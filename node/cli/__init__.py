"""Commands that need a node or its files; those that found and run whole networks are in `deploy`."""
