"""What there is of a job beside the list: its folders, files and artefacts, the order for its process, its events."""
