"""What a benchmark file may ask for at most: far beyond any study, and so little that `check` answers in seconds."""

FILE_BYTES = 256 * 1024
DEPTH = 32
"""Tables and lists inside of one another, and parts of a key with dots."""
VALUES = 50_000
"""Keys and values of a file, with all that it extends."""
TEXT = 4_000
"""Characters of a string or a key."""
NAME = 200
"""Characters of the name of an entry, a model or a data set."""
DIGITS = 64
"""Characters of a number."""
CHAIN = 32
"""Files or entries that extend or refer to one another in a row."""
ENTRIES = 2_000
"""Entries of a file, those of grids among them."""
GRID_TEXT = 20_000_000
"""Characters of all the entries that one grid stands for."""
CHOICES = 100
"""Models of a file, and data sets."""
SEEDS = 1_000
SEED = 2**63 - 1
"""The largest seed: results are tables whose columns have 64 bits."""
ROUNDS = 1_000
DENSITIES = 1_000
DRAWS = 1_000
TICKETS = 100_000
"""Judged tickets of a file: the product of all of these."""
PLACES = 100_000
"""Places of one run where it is measured: each stands in its curve."""
ERRORS = 100
"""Errors of a file that are listed."""
PROCESSES = 1_024
"""Workers, and threads of each."""
