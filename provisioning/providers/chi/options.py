"""What `provision up --lease ID` takes."""

from pathlib import Path

from provisioning.provider import Option

OPTIONS = (
    Option(
        "lease",
        "id or name of the lease; implies --on chi.",
        selects=True,
        required="CHI@Edge needs --lease ID_OR_NAME: `provision leases` lists them",
    ),
    Option("reservation", "which device reservation, when the lease has several."),
    Option("device-profile", "such as pi_camera; may be repeated.", many=True),
    Option("image", "image to run; default: Python with the agent installed into it."),
    Option("ssh-key", "key that may log in there.", type=Path, must_exist=True),
)
