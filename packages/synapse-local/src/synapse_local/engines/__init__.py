"""Record engines of this machine: one after another, on threads, on processes, on an event loop."""
