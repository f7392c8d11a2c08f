"""A process that is stopped in the middle of a change of the store."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from sqlalchemy import Engine, text

from ccexport.errors import StoreError
from ccexport.store.database import engine as engine_module
from ccexport.store.database.engine import open_engine, writing

PATIENCE_SECONDS = 60


def _stand_still(url: str, answers: Connection) -> None:
    """Change a row and stop before the commit; tell what came of it once it goes on."""
    engine_module.STANDSTILL_SECONDS = 1
    try:
        with writing(open_engine(url)) as session:
            session.connection().execute(text("UPDATE counter SET n = n + 100"))
            os.kill(os.getpid(), signal.SIGSTOP)
    except StoreError as error:
        answers.send(str(error))
    else:
        answers.send("committed")


class Stopped:
    """The process, and what it says at its end."""

    def __init__(self, pid: int, answers: Connection) -> None:
        self.pid = pid
        self._answers = answers

    def goes_on(self) -> str:
        os.kill(self.pid, signal.SIGCONT)
        assert self._answers.poll(PATIENCE_SECONDS)
        return str(self._answers.recv())


@contextmanager
def stopped_writer(engine: Engine) -> Iterator[Stopped]:
    """A table with one row, and a process that was stopped after it had changed it."""
    with writing(engine) as session:
        session.connection().execute(text("CREATE TABLE counter (n INTEGER)"))
        session.connection().execute(text("INSERT INTO counter VALUES (0)"))
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    url = engine.url.render_as_string(hide_password=False)
    process = spawn.Process(target=_stand_still, args=(url, theirs))
    process.start()
    try:
        assert process.pid is not None
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield Stopped(process.pid, ours)
    finally:
        process.kill()
        process.join()
