"""``doctor``: a file for each part of the machine that it looks at."""
