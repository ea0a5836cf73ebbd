"""One file per chip or family of chips; pure arithmetic apart from the bus traffic."""
