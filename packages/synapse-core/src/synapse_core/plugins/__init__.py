"""The plugin host: hook specifications, descriptions, and the registry."""
