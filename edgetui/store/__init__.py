"""State on disk: the database, job folders, provenance."""
