"""What a transaction means: the language, the runtime, the contract library."""
