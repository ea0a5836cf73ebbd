"""``demo``: the whole job on this machine, seen live, and its books."""
