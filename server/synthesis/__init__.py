"""Models that edgerun writes itself: well-known architectures with synthetic weights, to measure and profile with.

They cost what the real ones cost and need no download, but they have learned nothing. This module imports neither
numpy nor a runtime; `python -m server.synthesis` writes, in a process of its own.
"""

SYNTHETIC_MODELS = {
    "resnet20-float32": "ResNet20 for CIFAR-10, float32",
    "resnet20-int8": "ResNet20 for CIFAR-10, int8",
    "mobilenet_v2-float32": "MobileNetV2 1.0 224, float32",
    "mobilenet_v2-int8": "MobileNetV2 1.0 224, int8",
}
"""What can be written, by name."""
