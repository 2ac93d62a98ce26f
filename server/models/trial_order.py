"""What the throw-away process that tries a model is told."""

from dataclasses import dataclass
from typing import Any

from server.workers.messages import ModelSource


@dataclass(frozen=True)
class Trial:
    """A model to try, and what was declared of it."""

    source: ModelSource
    label_count: int | None
    detection: dict[str, str]
    """`form` and `coordinates` of its boxes, as far as declared."""

    @classmethod
    def from_wire(cls, fields: dict[str, Any]) -> "Trial":
        """Rebuild from JSON."""
        return cls(**{**fields, "source": ModelSource(**fields["source"])})
