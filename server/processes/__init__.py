"""Children of the agent: how they are started, confined, heard, found again and ended."""
