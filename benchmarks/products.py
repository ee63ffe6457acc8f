"""Each product of an update, alone, in the forms that its graph could ask for, in turns; prints a Markdown table.

On the CPU, XLA computes a product by its fast routine only where the left operand is contracted over its last axis.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import optimization_barrier
from tqdm import tqdm

from theanoish.model.network import POOL, WIDTH
from theanoish.model.operations import pooled_length
from theanoish.settings import Settings
from training import NETWORKS, add_threads, describe_machine, restrict

SHAPES = {
    **{name: NETWORKS[name] for name in ("raw 256/256", "raw 1024/1024", "mel 256/256")},
    "raw 512/512": Settings(frontend="raw", length=512, stride=512),
}
LARGE = 2048
# by the axes that the operands, as they lie in memory, are contracted over: the left one's, then the right one's
FORMS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "last axis, last axis": lambda a, b: a @ b.T,
    "last axis, first axis": lambda a, b: a @ b,
    "first axis, first axis": lambda a, b: a.T @ b,
    "first axis, swapped": lambda a, b: (b.T @ a).T,
    "transposed copy": lambda a, b: optimization_barrier(a.T) @ b,
    "transposed copy, swapped": lambda a, b: (optimization_barrier(b.T) @ a).T,
}
AS_COLUMNS = ("first axis, first axis", "first axis, swapped", "transposed copy", "transposed copy, swapped")
LEFT_IN_ROWS, BOTH_IN_ROWS = ("last axis, first axis",), ("last axis, last axis",)


class Product(NamedTuple):
    """Its size, and the forms its operands' layouts leave."""

    rows: int
    contracted: int
    columns: int
    forms: tuple[str, ...]

    @property
    def operations(self) -> int:
        return 2 * self.rows * self.contracted * self.columns


def products(settings: Settings) -> dict[str, Product]:
    """All but those of the dense layers, by what they compute; operands lie as the update's graph has them."""
    channels, filters = settings.strided_filters, settings.filters  # a spectrogram has as many channels
    found, time_ = {}, settings.frames
    if settings.frontend == "raw":
        frames = settings.minibatch * time_
        found["strided, forwards"] = Product(frames, settings.length, channels, BOTH_IN_ROWS)
        found["strided, filters' gradient"] = Product(channels, frames, settings.length, AS_COLUMNS)
    for layer in (1, 2):
        frames, taps = settings.minibatch * time_, WIDTH * filters
        found[f"convolution {layer}, forwards"] = Product(frames, channels, taps, BOTH_IN_ROWS)
        found[f"convolution {layer}, filters' gradient"] = Product(taps, frames, channels, LEFT_IN_ROWS + AS_COLUMNS)
        if layer == 2 or settings.frontend == "raw":
            forms = LEFT_IN_ROWS + BOTH_IN_ROWS + AS_COLUMNS
            found[f"convolution {layer}, maps' gradient"] = Product(frames, taps, channels, forms)
        time_, channels = pooled_length(time_ - WIDTH + 1, POOL), filters
    return found


def compiled(product: Product, form: str) -> Callable[[], object]:
    """A call of the product in one form, on operands that lie on the device."""
    rows, contracted, columns, _ = product
    generator = np.random.default_rng(0)
    left = (contracted, rows) if form in AS_COLUMNS else (rows, contracted)
    right = (columns, contracted) if form in BOTH_IN_ROWS else (contracted, columns)
    operands = [jnp.asarray(generator.standard_normal(shape), jnp.float32) for shape in (left, right)]
    call = jax.jit(FORMS[form])
    return lambda: call(*operands).block_until_ready()


def gigaflops(product: Product, seconds: float) -> float:
    """Useful work a second: a copy counts as time only."""
    return product.operations / seconds / 1e9


def time_in_turns(calls: dict[tuple[str, str], Callable[[], object]], rounds: int) -> dict[tuple[str, str], float]:
    """Median seconds of every call, each made once a round."""
    times: dict[tuple[str, str], list[float]] = {name: [] for name in calls}
    for number in tqdm(range(rounds + 1), unit="round"):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            if number:  # the first round compiles
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def table(network: str, rounds: int) -> str:
    """One network: GFLOP/s of every product and form, and the limit: every product at the best of its shape."""
    named = products(SHAPES[network])
    calls = {(n, form): compiled(product, form) for n, product in named.items() for form in product.forms}
    large = Product(LARGE, LARGE, LARGE, LEFT_IN_ROWS)
    calls["large", "large"] = compiled(large, *LEFT_IN_ROWS)
    seconds = time_in_turns(calls, rounds)
    top, best, lines = gigaflops(large, seconds.pop(("large", "large"))), 0.0, []
    for name, product in named.items():
        times = {form: seconds[name, form] for form in product.forms}
        best += min(times.values())
        rates = [_rate(product, times.get(form), min(times.values())) for form in FORMS]
        size = f"{product.rows} x {product.contracted} x {product.columns}"
        lines.append(f"| {network}, {name} | {size} | {' | '.join(rates)} |")
    limit = sum(product.operations for product in named.values()) / best / 1e9
    lines.append(
        f"\nLimit of {network}: {1e3 * best:.2f} ms in products, {limit:.0f} GFLOP/s, {limit / top:.0%} of {top:.0f}, "
        "which a large product has.\n"
    )
    return "\n".join(lines)


def _rate(product: Product, seconds: float | None, best: float) -> str:
    if seconds is None:
        return ""
    mark = "**" if seconds == best else ""
    return f"{mark}{gigaflops(product, seconds):.0f}{mark}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_threads(parser)
    parser.add_argument("--rounds", type=int, default=50, help="turns of every product (default: %(default)s)")
    parser.add_argument("--networks", nargs="+", choices=SHAPES, default=list(SHAPES), help="default: all")
    arguments = parser.parse_args()
    restrict(arguments.threads)
    print(describe_machine(arguments.threads))
    for network in arguments.networks:
        print(f"\n| GFLOP/s | rows x contracted x columns | {' | '.join(FORMS)} |\n{'| --- ' * (len(FORMS) + 2)}|")
        print(table(network, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
