"""Load, throughput and latency of real processes."""
