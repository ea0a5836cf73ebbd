"""What hangs on the Pi's own pins, by gpiozero: contacts, pulse counters, converters on SPI."""
