// Preloaded for its effect: shared buffers in messages arrive as such.
export {}
