"""What measurements mean: runs as tables, and what of them differs. Nothing here asks an agent."""
