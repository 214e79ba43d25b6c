"""Who is right: a pure core, the engines on it, and the simulator that tests them."""
