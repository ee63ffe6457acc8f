"""Damaged inputs, kills, signals, full disks and rivals by the thousand; run by hand, not by pytest.

    python tests/attack.py --mutations 2000 --kills 60 --seed 1

Right is: bad input is refused with an InputError, by scripts with exit status 2; what is accepted gives finite results;
after kill -9 the same command (or --resume) completes, bit for bit as if undisturbed; a signal ends with 130, a full
disk with 2, and what was there before stays. Never a traceback, a hang, a crash or a process left behind. It prints
what was tried, and each defect with its number, by which ``--again NUMBER`` repeats a mutation. Exit status 1 if there
is any.
"""

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from conftest import write_source
from mutations import AUDIO, CELL, CHANGES, KINDS, answer, mutate
from small_data import write_small_data
from theanoish.training import checkpoint

ROOT = Path(__file__).resolve().parents[1]
HANG = 600  # seconds that nothing here comes near
ALARM = {"hdf5": [-signal.SIGKILL]}  # how the library ends a file on which HDF5 itself never ends
SCRIPT_EVERY = 50  # mutations, of which one goes through the scripts
NETWORK = ["--frontend", "mel", "--length", "1024", "--stride", "1024", "--dropout", "0.5", "--momentum", "0.9"]
TRAINING = [*NETWORK, "--minibatch", "3", "--updates", "60", "--validation-interval", "20"]
SWEEP = ["--only", "mel_1024_1024", "--workers", "1", "--updates", str(CHANGES["updates"])]
SWEEP += ["--validation-interval", str(CHANGES["validation_interval"])]
REPRESENTATIONS = ["--representations", "raw", "mel_1024_1024"]
ACTIVITIES = ["build", "train", "build", "train", "evaluate", "build", "train", "tag", "train", "reproduce"]


class Attack:
    """What was tried, what was wrong, and the folders of it."""

    def __init__(self, work: Path, seed: int) -> None:
        self.work, self.seed, self.corpus = work, seed, work / "corpus"
        self.tried: Counter[str] = Counter()
        self.defects: Counter[str] = Counter()
        self.mark = f"THEANOISH_ATTACK={os.getpid()}-{seed}"
        cache = {"JAX_COMPILATION_CACHE_DIR": str(work / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        own = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "THEANOISH_ATTACK": self.mark.partition("=")[2]}
        self.environment = os.environ | cache | own

    def count(self, kind: str, defect: str, recipe: str) -> None:
        self.tried[kind] += 1
        if defect:
            self.defects[kind] += 1
            print(f"DEFECT {kind}: {recipe}: {defect}", flush=True)

    def start(self, command: list) -> subprocess.Popen:
        said = tempfile.TemporaryFile(dir=self.work)  # noqa: SIM115
        command = [sys.executable, str(ROOT / command[0]), *map(str, command[1:])]
        how = {"cwd": self.work, "env": self.environment, "stdin": subprocess.DEVNULL, "start_new_session": True}
        process = subprocess.Popen(command, stdout=said, stderr=said, **how)
        process.said = said
        return process

    def end(self, process: subprocess.Popen, allowed: tuple[int, ...]) -> str:
        """What was wrong with a script's end; empty if nothing."""
        try:
            process.wait(HANG)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "hangs"
        finally:
            left = self.left_behind()
        process.said.seek(0)
        said = process.said.read().decode(errors="replace")
        process.said.close()
        # what Python prints in a worker that it was starting when its parent was killed, before the worker is ours
        orphans = said.count("EOFError: Ran out of input") if process.returncode == -signal.SIGKILL else 0
        if said.count("Traceback") > orphans:
            return f"traceback: {said[-600:]}"
        if process.returncode not in allowed:
            return f"exit status {process.returncode}: {said[-300:]}"
        return f"processes left behind: {left}" if left else ""

    def left_behind(self) -> list[str]:
        """Processes that run on for a minute, which are ended."""
        until = time.monotonic() + 60
        while (left := list(filter(self.is_ours, Path("/proc").glob("[0-9]*")))) and time.monotonic() < until:
            time.sleep(0.1)
        for place in left:
            os.kill(int(place.name), signal.SIGKILL)
        return [place.name for place in left]

    def is_ours(self, process: Path) -> bool:
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            return state != "Z" and self.mark.encode() in (process / "environ").read_bytes()
        except OSError:
            return False

    def run(self, command: list, allowed: tuple[int, ...] = (0,)) -> str:
        return self.end(self.start(command), allowed)

    # What is there before

    def make_corpus(self) -> None:
        source, kinds = self.corpus / "source", ["wav", "flac", "mp3", "ogg"]
        paths = write_source(source, 10, [kinds[i % 4] for i in range(10)])
        splits = ["train", "test", "validation"]
        rows = [f"{path},artist {i // 2},tag {i % 2};all,{splits[i % 3]}" for i, path in enumerate(paths)]
        (source / "labels.csv").write_text("\n".join(["file,artist,tags,split", *rows]) + "\n")
        with zipfile.ZipFile(self.corpus / "mp3.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in source.rglob("*.mp3"):
                archive.write(path, path.relative_to(source))
        write_small_data(self.corpus / "small.h5", representations=[(1024, 1024)])
        self.seconds, self.right = {}, {}
        for activity in ("build", "train", "evaluate", "tag", "reproduce"):
            folder = self.folder(activity)
            begun = time.monotonic()
            if wrong := self.run(self.command(activity, folder)):
                sys.exit(f"undisturbed {activity}: {wrong}")
            self.seconds[activity] = time.monotonic() - begun
            self.right[activity] = self.result(activity, folder)
            if made := {"train": "run", "reproduce": "runs"}.get(activity):
                shutil.copytree(folder / made, self.corpus / made)
            shutil.rmtree(folder)
        print("undisturbed:", {name: f"{seconds:.1f} s" for name, seconds in self.seconds.items()}, flush=True)

    def folder(self, name: str) -> Path:
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def command(self, activity: str, folder: Path) -> list:
        """What is done in a folder, or done again after it was disturbed."""
        data, songs = self.corpus / "small.h5", self.corpus / "source"
        if activity == "build":
            output = ["--output", folder / "made.h5", "--workers", "2"]
            return ["preprocess/build_h5.py", "--source", songs, *output, *REPRESENTATIONS]
        if activity == "train":
            run = folder / "run"
            if (run / "settings.json").exists():
                return ["train.py", "--resume", run, "--updates", "60"]
            return ["train.py", *TRAINING, "--data", data, "--run", run]
        if activity == "evaluate":
            files = ["--json", folder / "s.json", "--csv", folder / "s.csv", "--predictions", folder / "p.npz"]
            return ["evaluate.py", self.corpus / "run" / "checkpoint.pkl", "--data", data, *files]
        if activity == "tag":
            files = ["--json", folder / "t.json", "--csv", folder / "t.csv", "--html", folder / "pages"]
            return ["tag.py", songs, "--checkpoint", self.corpus / "run" / "checkpoint.pkl", *files]
        return ["reproduce.py", "--data", data, "--runs", folder / "runs", *SWEEP]

    def result(self, activity: str, folder: Path) -> dict[str, object]:
        """All that it must give, bit for bit."""
        if activity == "build":
            return contents(folder / "made.h5")
        if activity in ("evaluate", "tag"):
            files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".npz"]
            found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
            if activity == "evaluate":
                with np.load(folder / "p.npz") as arrays:
                    found |= {name: arrays[name].tobytes() for name in arrays}
            return found
        run, found = folder / "run", {}
        if activity == "reproduce":
            run = folder / "runs" / CELL
            files = [run / "test.json", folder / "runs" / "tables.md", folder / "runs" / "tables.json"]
            found = {file.name: file.read_bytes() for file in files}
        for name, kind in (("checkpoint.pkl", checkpoint.CHECKPOINT), ("state.pkl", checkpoint.STATE)):
            values = checkpoint.load(run / name, kind)
            arrays = values["parameters"] | values.get("memory", {})
            found |= {f"{name} {key}": array.tobytes() for key, array in arrays.items()}
        entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        return found | {"log": [{name: value for name, value in one.items() if name != "time"} for one in entries]}

    def complete(self, activity: str, folder: Path) -> str:
        """Do it again, undisturbed; what was wrong."""
        built = activity == "build" and (folder / "made.h5").exists()
        if not built and (wrong := self.run(self.command(activity, folder))):
            return f"does not complete: {wrong}"
        found, right = self.result(activity, folder), self.right[activity]
        differing = sorted(name for name in found.keys() | right.keys() if found.get(name) != right.get(name))
        return f"not as undisturbed: {differing}" if differing else ""

    # What is done to it

    def mutations(self, count: int) -> None:
        server = None
        by_script = range(SCRIPT_EVERY - 1, count, SCRIPT_EVERY)
        for number in sorted(set(range(count)) - set(by_script)):
            server = server or self.serve()
            server.stdin.write(f"{number}\n".encode())
            server.stdin.flush()
            ready, _, _ = select.select([server.stdout], [], [], HANG)
            line = server.stdout.readline() if ready else b'"defect: hangs"'
            kind = KINDS[number % len(KINDS)]
            if line:
                text = json.loads(line)
            else:
                refused = server.wait() in ALARM.get(kind, ())
                text = "refused" if refused else f"defect: its process dies, status {server.returncode}"
            if not ready or not line:
                server.kill()
                server = None
            _, _, defect = text.partition("defect: ")
            self.tried["  of them with defects" if defect else f"  of them {text}"] += 1
            self.count(f"library, {kind}", defect, f"mutation {number}")
        if server:
            server.stdin.close()
            server.wait()
        for number in by_script:
            self.by_script(number)

    def serve(self) -> subprocess.Popen:
        command = [sys.executable, str(ROOT / "tests" / "mutations.py"), str(self.seed), str(self.corpus)]
        silent = {"stderr": subprocess.DEVNULL}  # decoders print there
        return subprocess.Popen(command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **silent)

    def by_script(self, number: int) -> None:
        kind, folder = KINDS[number % len(KINDS)], self.folder("mutated")
        file = mutate(kind, number, self.seed, self.corpus, folder)
        data, good = self.corpus / "small.h5", self.corpus / "run" / "checkpoint.pkl"
        source, first = folder / "source", number % 4 < 2
        if kind == "zip":
            shutil.copytree(self.corpus / "source", source)
            file.rename(source / "mp3.zip")
        build = ["preprocess/build_h5.py", "--allow-missing", *REPRESENTATIONS, "--output", folder / "made.h5"]
        train = ["train.py", *TRAINING, "--run", folder / "run"]
        sweep = ["reproduce.py", "--data", data, "--runs", folder / "runs", *SWEEP]
        commands = {
            "labels.csv": [*build, "--songs", source, "--labels", file],
            "hdf5": [*(["evaluate.py", good] if first else train), "--data", file],
            "checkpoint": [*(["evaluate.py", file] if first else [*train, "--initial", file]), "--data", data],
            "state": ["train.py", "--resume", file.parent, "--updates", "40", "--data", data],
            "tables.json": [*sweep, "--compare", file],
        }
        if kind in AUDIO and first:
            commands[kind] = ["tag.py", file, "--checkpoint", good]
        command = commands.get(kind, [*build, "--source", source] if source.exists() else sweep)
        self.count(f"scripts, {kind}", self.run(command, (0, 2, *ALARM.get(kind, ()))), f"mutation {number}")

    def disturbances(self, kills: int, signals: int) -> None:
        """Kill or stop each activity at random moments, sometimes more than once before it completes."""
        rng = random.Random(self.seed)
        numbers = [signal.SIGKILL] * kills + [rng.choice((signal.SIGINT, signal.SIGTERM)) for _ in range(signals)]
        for i, number in enumerate(numbers):
            activity = ACTIVITIES[i % len(ACTIVITIES)]
            folder = self.work / f"{activity}_disturbed"
            folder.mkdir(exist_ok=True)
            process = self.start(self.command(activity, folder))
            if number != signal.SIGKILL:
                wait_for_handlers(process)
            time.sleep((moment := 0.95 * rng.random()) * self.seconds[activity])
            process.send_signal(number)  # does nothing if it has ended
            wrong = self.end(process, (0, -number if number == signal.SIGKILL else 130))
            done = process.returncode == 0 or (folder / "made.h5").exists()
            if wrong or done or rng.random() < 0.4 or i >= len(numbers) - len(ACTIVITIES):
                wrong = wrong or self.complete(activity, folder)
                shutil.rmtree(folder)
            name = "kill -9" if number == signal.SIGKILL else "signal"
            late = ", too late" if process.returncode == 0 else ""
            recipe = f"number {i}, {signal.Signals(number).name} at {moment:.3f} of its time"
            self.count(f"{name}{late}, {activity}", wrong, recipe)

    def full_disks(self, count: int) -> None:
        if os.geteuid() != 0:
            print("full disks: skipped, which only root can make")
            return
        rng = random.Random(self.seed)
        for i in range(count):
            activity = ("build", "train", "evaluate")[i % 3]
            room = int(rng.choice((1, 0.1, 0.01)) * rng.random() * 8 * 2**20)
            with small_disk(self.folder("disk")) as folder:
                self.count(f"full disk, {activity}", self.fill(activity, folder, room), f"{room} bytes of room")

    def fill(self, activity: str, folder: Path, room: int) -> str:
        """Work with only so much room, then with enough; what was wrong."""
        earlier = {"build": ["made.h5"], "evaluate": ["s.json", "s.csv"], "train": []}[activity]
        for name in earlier:
            (folder / name).write_text("earlier")
        if activity == "train":
            shutil.copytree(self.corpus / "runs" / CELL, folder / "run")
        status = os.statvfs(folder)
        (folder / "filler").write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - room)))
        command = self.command(activity, folder) + (["--overwrite"] if activity == "build" else [])
        process = self.start(command)
        if wrong := self.end(process, (0, 2)):
            return wrong
        for name in earlier if process.returncode == 2 else []:
            if (folder / name).read_bytes() not in (b"earlier", self.right[activity].get(name)):
                return f"{name} is lost"
        (folder / "filler").unlink()
        if activity == "train":
            for name, kind in (("checkpoint.pkl", checkpoint.CHECKPOINT), ("state.pkl", checkpoint.STATE)):
                checkpoint.load(folder / "run" / name, kind)
            return self.run(command)
        if process.returncode == 2:
            for name in earlier:
                (folder / name).unlink()
        return self.complete(activity, folder)

    def rivals(self) -> None:
        for activity in ("build", "train", "evaluate", "tag", "reproduce"):
            folder = self.folder("rivals")
            command = self.command(activity, folder)
            processes = [self.start(command), self.start(command)]
            wrongs = [self.end(process, (0, 2)) for process in processes]
            wrong = next(filter(None, wrongs), "") or ("" if 0 in [p.returncode for p in processes] else "both refuse")
            self.count(f"two at once, {activity}", wrong or self.complete(activity, folder), "both started at once")


def contents(path: Path) -> dict[str, object]:
    """All of a data set that its build decides, wherever in the file it is."""
    with h5py.File(path) as file:
        tables = ["tags", "labels", *(f"clips/{name}" for name in file["clips"])]
        found = {name: file[name][()].tolist() for name in tables}
        for name in ("raw", "mel_1024_1024"):
            places = zip(file[f"{name}/start"][()], file[f"{name}/count"][()], strict=True)
            found[name] = [file[f"{name}/values"][start : start + count].tobytes() for start, count in places]
    return found


def wait_for_handlers(process: subprocess.Popen) -> None:
    """Until the script catches SIGTERM: what comes before is Python's own start."""
    while process.poll() is None:
        caught = Path(f"/proc/{process.pid}/status").read_text().split("SigCgt:")[1].split()[0]
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)


@contextmanager
def small_disk(folder: Path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("mutations", 2000), ("kills", 60), ("signals", 30), ("disks", 12), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--again", type=int, metavar="NUMBER", help="only repeat this mutation, in the library")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        attack = Attack(Path(name), args.seed)
        attack.make_corpus()
        if args.again is not None:
            print(answer(args.again, args.seed, attack.corpus))
            return 0
        attack.mutations(args.mutations)
        attack.disturbances(args.kills, args.signals)
        attack.full_disks(args.disks)
        if args.kills:
            attack.rivals()
    print(f"{'what':<34} {'tried':>6} {'defects':>8}")
    for kind, tried in sorted(attack.tried.items()):
        print(f"{kind:<34} {tried:>6} {attack.defects[kind]:>8}")
    return 1 if attack.defects else 0


if __name__ == "__main__":
    sys.exit(main())
