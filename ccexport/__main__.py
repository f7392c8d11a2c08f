"""`python -m ccexport`."""

import atexit
import gc
import os
import sys


def _let_go_of_the_log() -> None:
    """What standard error cannot take is lost, and no failure of what was done: Python would end with 120."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        sys.stderr = None  # which Python leaves alone


atexit.register(_let_go_of_the_log)
gc.disable()  # what is imported stays: to look for garbage among it costs a third of a command's start
atexit.register(gc.freeze)  # nor is it looked through at the end: what a process holds goes with it
# nor does pydantic read the description of every package that is installed, looking for plugins of its own
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from ccexport.commands.main import main  # noqa: E402  # what the lines above are for

if __name__ == "__main__":
    main()
