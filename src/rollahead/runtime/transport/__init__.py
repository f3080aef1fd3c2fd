"""Channels between threads and processes: mailboxes, shared memory, the stop latch, the wake-up event."""
