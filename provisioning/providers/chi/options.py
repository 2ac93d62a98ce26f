"""What `provision up --lease ID` takes."""

from pathlib import Path

from provisioning import variables
from provisioning.provider import Option

OPTIONS = (
    Option(
        "lease",
        "id or name of the lease; implies --on chi.",
        selects=True,
        required="CHI@Edge needs --lease ID_OR_NAME: `provision leases` lists them",
    ),
    Option("reservation", "which device reservation, when the lease has several."),
    Option("runtime", "nvidia, for the GPU of a Jetson."),
    variables.option("All members of the project see its value"),
    Option(
        "device-profile",
        "camera, gpio, or one of the site's own, such as pi_sensehat or vcio; may be repeated.",
        many=True,
    ),
    Option("image", "image to run; default: Python with the agent installed into it."),
    Option("ssh-key", "key that may log in there.", type=Path, must_exist=True),
)
