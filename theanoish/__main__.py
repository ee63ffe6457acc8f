"""The command `theanoish`, and `python -m theanoish`: the commands of theanoish/commands under one name."""

import sys

COMMANDS = {
    "tag": "tag songs, or whole folders of them",
    "build": "make the data set of MagnaTagATune, of your own songs, or of a demo",
    "train": "train one network of the paper",
    "evaluate": "test a checkpoint, tag by tag",
    "reproduce": "every experiment of the paper",
    "figures": "the paper's figures from a checkpoint",
    "export": "write a checkpoint for other programs: ONNX, safetensors, NumPy",
    "app": "hear songs and see their tags in a browser",
}


def main() -> int:
    """Run the command that the first argument names, the rest being its arguments.

    Returns
    -------
    int
        The exit status.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        sys.argv = [f"theanoish {name}", *sys.argv[2:]]  # the first is what messages begin with
        return run(name)
    if name in ("-h", "--help"):
        print(_usage())
        return 0 if len(sys.argv) > 1 else 2
    if name == "--version":
        from theanoish import __version__

        print(f"theanoish {__version__}")
        return 0
    print(f"theanoish: error: there is no command {name!a}\n{_usage()}", file=sys.stderr)
    return 2


def run(name: str) -> int:
    """Run a command with the arguments of this process, and return its exit status."""
    from theanoish.command import begin_script, run_script

    begin_script()  # before the imports that take seconds
    from importlib import import_module

    return run_script(import_module(f"theanoish.commands.{name}").main)


def _usage() -> str:
    lines = [f"  {name:<10} {what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: theanoish COMMAND ..., of which theanoish COMMAND --help says more", *lines])


if __name__ == "__main__":
    sys.exit(main())
