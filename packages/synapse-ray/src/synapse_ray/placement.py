"""What is asked for, as Ray counts it and in words, and whether the cluster could ever place it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from synapse_core.errors import BackendError

__all__ = ["are_fixed", "in_words", "of_nodes", "refuse_impossible", "refuse_unplaceable"]

_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}


def refuse_impossible(resources: Mapping[str, Any]) -> None:
    """Raise where no node of the connected cluster has what is asked for, and none can be added by itself.

    Raises:
        BackendError: It says what was asked for and what the biggest nodes have.
    """
    if any(resources.values()):
        import ray  # the Jobs API has its nodes over HTTP

        from synapse_ray.ray_internals import cluster_may_grow

        known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        refuse_unplaceable(resources, [node["Resources"] for node in known if node.get("Alive")], cluster_may_grow)


def refuse_unplaceable(
    resources: Mapping[str, Any], nodes: Sequence[Mapping[str, float]], may_grow: Callable[[], bool]
) -> None:
    """Do what `refuse_impossible` does for nodes that are known already.

    Args:
        resources: As for Ray: ``num_cpus``, ``num_gpus``, ``memory``.
        nodes: What each living node has in all.
        may_grow: Says whether nodes of other kinds could be added; asked only where none of these will do.
    """
    wanted = of_nodes(resources)
    if not nodes or any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        return
    if may_grow():
        return
    asked = _described(wanted)
    largest = max(nodes, key=lambda node: sum(min(node.get(n, 0) / amount, 1) for n, amount in wanted.items()))
    has = _described({name: largest.get(name, 0) for name in wanted})
    raise BackendError(
        f"no node of the cluster can ever run this: one worker asks for {asked}, and the nearest of "
        f"{len(nodes)} node(s) has {has} in all. Ask for less, or add a node"
    )


def are_fixed(kinds: Iterable[str]) -> bool:
    """Say whether nodes of these kinds, as an autoscaler's report has them, are all that there will ever be.

    A cluster without an autoscaler is watched all the same; each of its nodes is then a kind of its own.
    """
    return all(kind.startswith("node_") for kind in kinds)


def of_nodes(resources: Mapping[str, Any]) -> dict[str, float]:
    """Return what is asked for under the names that nodes have for it; without what is not asked for."""
    return {_NAMES.get(name, name): float(amount) for name, amount in resources.items() if amount}


def in_words(name: str, amount: float) -> str:
    """Return an amount of what a node has."""
    return f"{amount / 2**30:.3g} GiB of memory" if name == "memory" else f"{amount:g} {name}"


def _described(amounts: Mapping[str, float]) -> str:
    return ", ".join(in_words(name, amount) for name, amount in amounts.items())
