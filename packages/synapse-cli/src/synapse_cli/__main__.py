"""``python -m synapse_cli`` is ``synapse``."""

from synapse_cli.main import main

if __name__ == "__main__":
    main()
