"""``python -m meerkat`` is the ``meerkat`` command."""

from meerkat.cli.main import main

if __name__ == "__main__":
    main()
