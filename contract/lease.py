"""How long the device is ours, where that ends."""

from pydantic import BaseModel, ConfigDict, Field

LEFT_MAX_S = 10 * 366 * 86400.0


class LeaseTime(BaseModel):
    """`GET` and `PUT /v1/lease`: a span and no date, so that no clock has to agree with another."""

    model_config = ConfigDict(extra="forbid")

    left_s: float | None = Field(ge=0, le=LEFT_MAX_S, allow_inf_nan=False, strict=True)
    """Seconds until the device is taken away with everything on it; None where nobody said that it is."""
