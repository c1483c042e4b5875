"""Isolated import of plugin folders."""

from synapse_core.loading.finder import install_finder
from synapse_core.loading.homes import PluginHome, find_plugin_home, loaded_plugin_folders
from synapse_core.loading.plugin_code import PluginCode, load_plugin_code

__all__ = ["PluginCode", "PluginHome", "find_plugin_home", "load_plugin_code", "loaded_plugin_folders"]

install_finder()  # so that a pickle of a plugin's object opens before its plugin was loaded here
