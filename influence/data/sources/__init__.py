"""Where rows come from: files, folders, the hub, the built-in assistant. The door to datasets."""
