"""What `provision up` takes for CHI@Edge."""

from pathlib import Path

from provisioning import variables
from provisioning.provider import Option

OPTIONS = (
    Option(
        "lease",
        "id or name of the lease; implies --on chi.",
        selects=True,
        required="CHI@Edge needs --lease ID_OR_NAME, or --device-type KIND --for TIME, which makes a lease: "
        "`provision lease ls` lists leases, `provision devices` kinds",
    ),
    Option(
        "for",
        "make a lease of a --device-type for this long; implies --on chi.",
        metavar="2h|90m|1d",
        pattern=r"\d+(\.\d+)?\s*(m|min|h|d)",
        selects=True,
        instead_of="lease",
        needs="device-type: `provision devices` lists the kinds",
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
