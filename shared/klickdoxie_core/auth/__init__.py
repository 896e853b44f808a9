"""Ways to prove who is calling: plain values that the engine runs, none of which owns a client."""
