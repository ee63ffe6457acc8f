"""The network of the paper as a symbolic graph, and what is compiled of it."""
