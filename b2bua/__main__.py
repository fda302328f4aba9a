"""Entry point of ``python -m b2bua``."""

from b2bua.cli import main

if __name__ == "__main__":
    main()
