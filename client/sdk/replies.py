"""What came back for one picture: the agent's reply, and what the client saw around it."""

from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from client.sdk.request import Stopwatch
from contract.classify import ClassifyReply, Prediction
from contract.detect import Detection, DetectReply

Reply = TypeVar("Reply", ClassifyReply, DetectReply)


@dataclass(frozen=True)
class ImageAnswer(Generic[Reply]):
    """The agent's reply to one picture."""

    reply: Reply
    host: str
    connect_ms: float
    """Opening the connection and the TLS handshake; 0 on a kept connection."""
    exchange_ms: float
    """From the first byte sent to the last byte received, the agent's work included."""

    @classmethod
    def seen(cls, reply: Reply, host: str, watch: Stopwatch) -> Self:
        """The reply with what a stopwatch saw of it."""
        return cls(reply, host, watch.connect_ms, watch.exchange_ms)

    @property
    def network_ms(self) -> float:
        """What the agent's own time does not explain of the exchange: both ways over the network."""
        return max(0.0, self.exchange_ms - self.reply.timing_ms.total)


class Classification(ImageAnswer[ClassifyReply]):
    """What one picture shows."""

    @property
    def predictions(self) -> list[Prediction]:
        """Classes, best first."""
        return self.reply.predictions

    @property
    def label(self) -> str:
        """Name of the best class, or its index where the model has no labels."""
        return name_of(self.predictions[0])

    @property
    def score(self) -> float:
        """Probability of the best class, 0 to 1."""
        return self.predictions[0].score


class Detections(ImageAnswer[DetectReply]):
    """The objects in one picture."""

    @property
    def detections(self) -> list[Detection]:
        """Objects, best first, each with its box in pixels of the picture's file."""
        return self.reply.detections


def name_of(found: Prediction | Detection) -> str:
    """The name of a class, or its index where the model has no labels."""
    return found.label if found.label is not None else str(found.index)
