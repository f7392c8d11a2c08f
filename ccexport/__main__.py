"""`python -m ccexport`."""

import gc

gc.disable()  # what is imported stays: to look for garbage among it costs a third of a command's start

from ccexport.commands.main import main  # noqa: E402  # what the pause above is for

if __name__ == "__main__":
    main()
