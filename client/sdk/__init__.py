"""What speaks to an agent: hosts, trust, requests, and the two clients."""
