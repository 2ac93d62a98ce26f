"""What `provision up --on docker` takes."""

from provisioning.provider import Option

OPTIONS = (
    Option("image", "image to run; default: built from this checkout."),
    Option("platform", "such as linux/arm64; default: the engine's own."),
    Option(
        "volume",
        "a path of the engine's host, and where the container sees it; may be repeated.",
        many=True,
        metavar="/PATH:/PATH[:ro]",
        pattern=r"/[^:]*:/[^:]+(:r[ow])?",  # a bare name would be a volume that nobody removes
    ),
)
