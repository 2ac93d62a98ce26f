"""Docker: a container on an engine."""
