"""What `provision up --on docker` takes."""

from provisioning import variables
from provisioning.provider import Option

OPTIONS = (
    Option("image", "image to run; default: built from this checkout."),
    Option("platform", "such as linux/arm64; default: the engine's own."),
    Option("runtime", "one of the engine's, such as nvidia."),
    variables.option("Whoever may use the engine sees its value"),
    Option("device-profile", "camera, gpio or vcio (power of a Raspberry Pi 5); may be repeated.", many=True),
    Option(
        "volume",
        "a path of the engine's host, and where the container sees it; may be repeated.",
        many=True,
        metavar="/PATH:/PATH[:ro]",
        pattern=r"/[^:]*:/[^:]+(:r[ow])?",  # a bare name would be a volume that nobody removes
    ),
)
