"""The stream compared with batch EM."""
