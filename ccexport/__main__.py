"""`python -m ccexport`."""

from ccexport.cli import main

if __name__ == "__main__":
    main()
