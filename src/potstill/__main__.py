"""``python -m potstill``."""

from potstill.cli.main import main

if __name__ == "__main__":
    main()
