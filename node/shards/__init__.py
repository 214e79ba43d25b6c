"""What the chains of a sharded network execute beside their contracts (consensus B.2, B.3; ADR 0250).

A region's chain takes the global chain's inbox and states, in the first block of each round, what it did until then.
The global chain enters those records, holds each against its centres' own copy of the region, and decides trades
across regions. The rules are `consensus.sharded`; here they meet state trees, contracts and the process's other chains.
"""
