"""One tick of the executor: what is observed, which action is sent, when the next chunk is requested."""
