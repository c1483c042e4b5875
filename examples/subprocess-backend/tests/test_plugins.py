"""What conformance does not ask: plugin folders, and actions that no other process can import."""

import pytest
from synapse_core import ActionLoadError, PluginDiscovery, run_plugin
from synapse_core.plugins.registry import registry

from synapse_subprocess.executor import SubprocessExecutor

FILES = {
    "config.yaml": {
        "code": "shop",
        "name": "Shop",
        "env": {"CURRENCY": "EUR"},
        "actions": {"price": {"entrypoint": "plugin.price:PriceAction"}},
    },
    "plugin/price.py": """
        from dataclasses import dataclass
        from decimal import Decimal

        from pydantic import BaseModel
        from synapse_core import BaseAction


        class Params(BaseModel):
            amount: Decimal


        @dataclass
        class Price:
            amount: Decimal
            text: str


        class PriceAction(BaseAction[Params]):
            def execute(self):
                from plugin.words import label

                return Price(self.params.amount, label(self.ctx.env["CURRENCY"]))
    """,
    "plugin/words.py": "def label(currency): return f'in {currency}'",
}


def test_the_mode_is_registered():
    description = registry.find_executor("subprocess")
    assert registry.load(description) is SubprocessExecutor


def test_a_plugin_folder_runs_in_the_other_process(make_plugin):
    folder = make_plugin(FILES)
    result = run_plugin(folder, "price", {"amount": "9.90"}, mode="subprocess")
    price = PluginDiscovery.from_path(folder).get_action_class("price").execute.__globals__["Price"]
    assert type(result) is price
    assert (str(result.amount), result.text) == ("9.90", "in EUR")


def test_an_action_that_no_other_process_can_import_is_refused():
    with pytest.raises(ActionLoadError, match="move it into a module"):
        SubprocessExecutor().execute(lambda params, ctx: 1, {})
