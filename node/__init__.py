"""The only room that waits, opens, wires and configures."""
