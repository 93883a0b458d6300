"""`python -m skiplab` is `skiplab`."""

from skiplab.cli import main

if __name__ == "__main__":
    main()
