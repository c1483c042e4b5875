"""Isolated import of plugin folders."""

from synapse_core.loading.plugin_code import PluginCode, load_plugin_code

__all__ = ["PluginCode", "load_plugin_code"]
