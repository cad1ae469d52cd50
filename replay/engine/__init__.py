"""From a source to sinks: the loop, its series and its checkpoints."""
