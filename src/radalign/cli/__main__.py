"""`python -m radalign.cli` is `radalign`."""

from radalign.cli import main

if __name__ == "__main__":
    main()
