"""`python -m radalign` is `radalign`."""

from radalign.cli import main

if __name__ == "__main__":
    main()
