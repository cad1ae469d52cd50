"""How points, times and bytes come in and go out."""
