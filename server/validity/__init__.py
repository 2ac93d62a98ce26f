"""The verdict on a measurement: what went wrong while it ran, and what could not be looked at."""
