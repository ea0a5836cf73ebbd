"""``python -m edge_agent`` is the ``pyvorin-agent`` command."""

from edge_agent.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
