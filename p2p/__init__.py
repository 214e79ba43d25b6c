"""Bytes between machines: frames, TLS, peers, gossip, sync."""
