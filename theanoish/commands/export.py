"""Write a checkpoint for other programs: theanoish export CHECKPOINT OUT.onnx, or OUT.safetensors or OUT.npz"""

import argparse
import io
import json
import sys
from typing import Any

import numpy as np

from theanoish.command import checkpoint_path, user_path
from theanoish.errors import InputError
from theanoish.files import check_outputs, written_whole
from theanoish.model.network import Network
from theanoish.training.checkpoint import load_network


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "checkpoint", type=checkpoint_path, help="checkpoint.pkl, its run folder, or mel, raw or instruments"
    )
    parser.add_argument("output", type=user_path, help="file to write; its ending says the format")
    return parser.parse_args(arguments)


def as_npz(network: Network, about: dict[str, str]) -> bytes:
    file = io.BytesIO()
    arrays: dict[str, Any] = network.values() | {name: np.array(text) for name, text in about.items()}
    np.savez(file, **arrays)
    return file.getvalue()


def as_safetensors(network: Network, about: dict[str, str]) -> bytes:
    from safetensors.numpy import save

    return bytes(save(network.values(), about))


def as_onnx(network: Network, about: dict[str, str]) -> bytes:
    from theanoish.export.graph import onnx_model

    return onnx_model(network, about)


FORMATS = {".onnx": as_onnx, ".safetensors": as_safetensors, ".npz": as_npz}


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    if args.output.suffix not in FORMATS:
        raise InputError(f"{args.output}: its ending must be {', '.join(FORMATS)}")
    check_outputs([args.output], [args.checkpoint])
    saved, network = load_network(args.checkpoint)
    about = {"settings": json.dumps(network.settings.as_dict()), "tags": json.dumps(saved["tags"])}
    try:
        content = FORMATS[args.output.suffix](network, about)
    except ImportError as error:
        install = f"{sys.executable} -m pip install {args.output.suffix[1:]}"
        raise InputError(f"{args.output}: {error}; install it with: {install}; or write .npz") from error
    with written_whole(args.output) as beside:
        beside.write_bytes(content)
    return 0
