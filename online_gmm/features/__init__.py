"""Features of trailing windows."""
