"""Everything that knows HTTP and nothing of models or jobs."""
