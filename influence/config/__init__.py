"""Every parameter, from a command line, a query or a study file."""
