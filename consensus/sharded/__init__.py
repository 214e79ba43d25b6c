"""The `sharded` engine: regions with a chain each, main centres with the global one (consensus B.2, B.3).

Everything here is a pure rule over plain values: integers, total orders, no clock. The core orders blocks of every
chain; these rules say who leads a region, what a region reports, what the centres make of it and where money goes.
"""
