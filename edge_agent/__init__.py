"""Pyvorin edge agent: one corridor, one direction.

A reading is born in a sensor, is shaped, is committed, is sent, is deleted::

    sensors --read()--> processing --Submission--> cloud_sync.queue == SQLite file
        == cloud_sync.queue --batch--> uploader

The poller thread owns everything left of the file, the flusher thread everything right of it; the
two share the queue, one stop event and one wake event. Importing this package imports nothing
heavy.
"""

__version__ = "0.1.0"
