"""Mail is made alone, without Apprise's other services: the same as Apprise itself makes it."""

from __future__ import annotations

import subprocess
import sys

import apprise
import pytest

from ccexport.telling import channels


@pytest.mark.parametrize(
    "url",
    [
        "mailto://127.0.0.1:25?mode=insecure&from=a@example.com&to=b@example.com",
        "mailtos://ana:p%40ss@smtp.example.com?to=b@example.com&name=Marketing",
        "MAILTO://ana:secret@example.com",
        "mailto://ana:secret@gmail.com?to=b@example.com,c@example.com&cc=d@example.com",
        "mailto://user:pass@host.example/one%40example.com?from=Team%20X",
        "mailto://",
        "mailto:ana@example.com",
        "mailtos://:@/",
        "mailto://example.com?format=nothing",
    ],
)
def test_mail_is_as_apprise_makes_it(url: str) -> None:
    theirs, ours = apprise.Apprise.instantiate(url), channels._plugin(url)
    assert type(ours) is type(theirs)
    assert (ours and ours.url()) == (theirs and theirs.url())


def test_who_tells_by_mail_alone_imports_no_other_service() -> None:
    look = (
        "import sys; from ccexport.telling.channels import check_address\n"
        "check_address('mailto://ana:secret@example.com')\n"
        "print('apprise.plugins.email' in sys.modules, 'apprise.plugins.slack' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
