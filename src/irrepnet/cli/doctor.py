"""`irrepnet doctor`."""

from irrepnet.cli.options import Json
from irrepnet.cli.printing import print_json, print_table


def doctor(json_: Json = False) -> None:
    """Print what runs here: versions, threads, the device, and whether there are compiled kernels."""
    import torch

    from irrepnet.tasks import TrainingConfig
    from irrepnet.training.folder import versions

    found = versions(TrainingConfig().threads) | {"device": "cuda" if torch.cuda.is_available() else "cpu"}
    if json_:
        print_json(found)
    else:
        print_table("what runs here", ["", ""], [[name, str(value)] for name, value in found.items()])
