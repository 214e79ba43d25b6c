"""What is true without a network: types, codec, keys, Merkle trees, state, store, chain."""
