"""Calls within one process: what Synapse adds to work done by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from benchmarks.comparison import Comparison, compare
from synapse_core import BaseAction, PluginDiscovery, RuntimeContext
from synapse_local import LocalExecutor

__all__ = ["compare_calls"]


class _Params(BaseModel):
    epochs: int = 1
    name: str = "x"


class _TrivialAction(BaseAction[_Params]):
    def execute(self) -> int:
        return self.params.epochs


def compare_calls(folder: Path) -> Iterator[Comparison]:
    """Compare a local execution and a discovery with the same by hand."""
    executor, params = LocalExecutor(job_id="job"), {"epochs": 3, "name": "y"}

    def by_hand() -> Any:
        return _TrivialAction(_Params.model_validate(params), RuntimeContext(job_id="job")).execute()

    yield compare(
        "LocalExecutor.execute, trivial action",
        "validate, context, action by hand",
        lambda: executor.execute(_TrivialAction, params),
        by_hand,
        bound=2.0,
        rounds=101,
        calls=2000,
    )

    config = folder / "config.yaml"
    config.write_text(_config_with(200))
    text = config.read_text()
    yield compare(
        "PluginDiscovery.from_path, 200 actions",
        "parsing its YAML (C parser)",
        lambda: PluginDiscovery.from_path(config).list_actions(),
        lambda: yaml.load(text, Loader=yaml.CSafeLoader),
        bound=1.5,
        rounds=31,
    )


def _config_with(count: int) -> str:
    actions = {
        f"action_{n}": {
            "entrypoint": f"plugin.actions_{n}:Action{n}",
            "method": "task",
            "description": f"Does the thing of number {n}.",
            "input_type": "image",
            "output_type": "annotation",
            "resources": {"num_cpus": 1},
        }
        for n in range(count)
    }
    return yaml.safe_dump({"code": "many", "name": "Many", "env": {"A": "1"}, "actions": actions}, sort_keys=False)
