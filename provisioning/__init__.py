"""`provision`: from a lease, a board, a Docker host or this machine to a running agent, and back to nothing."""
