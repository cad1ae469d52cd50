"""Labels become segments, changes of regime and events."""
