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
from client.sdk.edge_client import AsyncEdgeClient, Classification, EdgeClient
from client.sdk.events import JobEvent
from client.sdk.hosts import Host, HostsFile

__all__ = [
    "AgentFault",
    "Answered",
    "AsyncEdgeClient",
    "Classification",
    "EdgeClient",
    "EdgeError",
    "Host",
    "HostError",
    "HostsFile",
    "JobEvent",
    "NotAuthorized",
    "NotTrusted",
    "Refused",
    "Unreachable",
]
