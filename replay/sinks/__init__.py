"""Where labelled rows go."""
