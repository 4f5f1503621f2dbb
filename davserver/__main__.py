"""`python -m davserver`: the same as the command `sealdav`."""

from davserver.cli import main

if __name__ == "__main__":
    main()
