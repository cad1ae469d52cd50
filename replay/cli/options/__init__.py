"""The options of the command line, each declared once, in groups that commands share."""
