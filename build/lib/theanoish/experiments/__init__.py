"""The experiments of the paper: its tables and figures, run and reported."""
