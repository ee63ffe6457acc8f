"""What training a network costs: multiplications and parameters, as its own shapes have them."""

from dataclasses import dataclass
from functools import cache

from theanoish.model.network import Network
from theanoish.settings import Settings

TAGS = 50  # of MagnaTagATune; the top layer's share is hardly seen


@dataclass(frozen=True)
class Cost:
    """Of one network."""

    operations: int  # floating-point, of an update: running times are roughly proportional to them
    parameters: int  # numbers that are learned


@cache
def cost(settings: Settings) -> Cost:
    """The cost of the network of these settings.

    Every weight is multiplied once per frame (in a dense layer once) in the forward pass, once for its own gradient and
    once for the gradient of its layer's input, which nothing needs below the first layer that is trained.
    """
    network = Network(settings, TAGS)
    sizes = {name: variable.get_value(borrow=True).size for name, variable in network.parameters.items()}
    weights = {name.partition("/")[0]: size for name, size in sizes.items() if not name.endswith("/bias")}
    multiplications, products = 0, 1 if settings.fixed_filters else 2
    for layer, size in weights.items():
        *time, _ = network.shapes[layer]
        multiplications += size * (time[0] if time else 1) * products
        products = min(products + 1, 3)
    return Cost(2 * settings.minibatch * multiplications, sum(sizes[name] for name in network.trained))
