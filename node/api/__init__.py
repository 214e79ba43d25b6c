"""The HTTP interface of a node: people and programs outside; pydantic stands at this edge and nowhere further in."""
