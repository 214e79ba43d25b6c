"""Clusters of nodes on one machine, and the files that run a node elsewhere."""
