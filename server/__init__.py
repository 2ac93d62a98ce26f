"""The agent on the device: HTTP in front, supervised worker processes behind it."""

from importlib.metadata import version

__version__ = version("edgerun")
