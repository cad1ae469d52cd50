"""Where rows come from: files, standard input."""
