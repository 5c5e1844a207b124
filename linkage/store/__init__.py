"""What a role keeps on disk: metadata in a database, artefacts and the log in files."""
