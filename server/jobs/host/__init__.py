"""The process that does a job's work: `main` starts it, one file a kind. It imports nothing of the web framework."""
