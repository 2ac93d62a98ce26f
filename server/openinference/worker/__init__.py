"""Open Inference Protocol v2, the worker's side: a request's body in, the reply's body out.

Published at https://github.com/kserve/open-inference-protocol; the extensions `binary_tensor_data` and
`classification` are those of Triton Inference Server (docs/protocol in its repository). A worker parses, checks, runs
and writes; it stays small by importing neither pydantic nor the contract's wire types.
"""
