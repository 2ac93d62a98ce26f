"""Files on their way to and from agents."""
