"""Open Inference Protocol v2 over gRPC: the service `inference.GRPCInferenceService`, on a port of its own.

Nothing here is imported unless the agent is started with `--grpc-port`; the extra `grpc` brings the libraries.
"""
