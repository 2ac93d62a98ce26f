"""The client of edgerun: `EdgeClient("edge1").classify("parrot.jpg")`. Loads nothing of the agent's."""

from client.errors import (
    AgentFault,
    Answered,
    EdgeError,
    HostError,
    NotAuthorized,
    NotTrusted,
    Refused,
    Unreachable,
)
from client.sdk.edge_client import AsyncEdgeClient, EdgeClient
from client.sdk.events import JobEvent
from client.sdk.hosts import Host, HostsFile
from client.sdk.replies import Classification, Detections
from client.sdk.tensors import Tensor

__all__ = [
    "AgentFault",
    "Answered",
    "AsyncEdgeClient",
    "Classification",
    "Detections",
    "EdgeClient",
    "EdgeError",
    "Host",
    "HostError",
    "HostsFile",
    "JobEvent",
    "NotAuthorized",
    "NotTrusted",
    "Refused",
    "Tensor",
    "Unreachable",
]
