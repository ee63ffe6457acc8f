"""Write a checkpoint's weights for other programs: theanoish export CHECKPOINT OUT.safetensors, or OUT.npz"""

import argparse
import json
from typing import Any

import numpy as np

from theanoish.command import checkpoint_path, user_path
from theanoish.errors import InputError
from theanoish.files import check_outputs, written_whole
from theanoish.training.checkpoint import load_network


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=checkpoint_path, help="checkpoint.pkl, or its run folder")
    parser.add_argument("output", type=user_path, help="file to write; its ending says the format")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    if args.output.suffix not in (".npz", ".safetensors"):
        raise InputError(f"{args.output}: its ending must be .safetensors or .npz")
    check_outputs([args.output], [args.checkpoint])
    saved, network = load_network(args.checkpoint)
    about = {"settings": json.dumps(network.settings.as_dict()), "tags": json.dumps(saved["tags"])}
    if args.output.suffix == ".npz":
        with written_whole(args.output) as beside, beside.open("wb") as file:
            arrays: dict[str, Any] = network.values() | {name: np.array(text) for name, text in about.items()}
            np.savez(file, **arrays)
        return 0
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise InputError(f"{args.output}: needs the package safetensors; install it, or write .npz") from error
    with written_whole(args.output) as beside:
        beside.write_bytes(save(network.values(), about))
    return 0
