"""Messages from one thread or process to another: mailboxes, rings and latches in shared memory, wake events."""
