"""Open Inference Protocol v2, for its REST routes and for gRPC alike.

What is here belongs to the agent's own process, which never looks into a body: that is the business of `worker`.
"""
