"""Heavy optimisation off the chain: a contract checks what it finds, in integers, and has a fallback without it."""
