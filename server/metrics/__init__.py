"""What the agent counts while it works, and how /metrics shows it.

Counting is done here and without a library: it runs for every request. prometheus-client, which knows the formats, is
loaded when somebody first asks.
"""
