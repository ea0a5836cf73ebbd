"""Sensors that the Linux kernel already drives: industrial I/O, hardware monitoring, 1-wire.

The kernel's drivers talk to the chip; what they measured is read from files below /sys. So about a
hundred parts need no code of ours, only their line in config.txt::

    dtoverlay=i2c-sensor,bme280,addr=0x76
"""
