"""The demo of engine `sharded`: one neighbourhood in several regions that trade with each other."""
