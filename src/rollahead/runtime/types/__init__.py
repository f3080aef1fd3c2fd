"""Values shared by the whole runtime: specs, messages, chunks, checked arrays, seeds, and the `Robot` protocol."""
