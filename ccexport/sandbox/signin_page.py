"""The page on which a person signs in and allows or denies: plain HTML, no script."""

from collections.abc import Collection, Mapping
from html import escape

from starlette.responses import HTMLResponse, Response

from ccexport.sandbox.account.people import PEOPLE
from ccexport.sandbox.behaviour import OWNER

_MEANINGS = {
    "contact_data": "Read and change your contacts and lists",
    "campaign_data": "Read and change your campaigns",
    "account_read": "Read your account's details",
    "account_update": "Change your account's details",
    "offline_access": "Do so while you are away",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; background: #f2f4f8; color: #1a2233; margin: 0; }}
main {{ max-width: 26rem; margin: 3rem auto; padding: 2rem; background: #fff; border-radius: 8px; }}
h1 {{ font-size: 1.3rem; margin-top: 0; }}
label {{ display: block; margin: 1rem 0; }}
input {{ display: block; width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; }}
button {{ font: inherit; padding: .5rem 1.5rem; margin-right: .5rem; cursor: pointer; }}
.problem {{ color: #a3001b; }}
.note {{ color: #4d5a73; font-size: .875rem; }}
</style>
</head>
<body><main>{content}</main></body>
</html>"""


def sign_in_page(
    hidden: Mapping[str, str], scopes: Collection[str], problem: str | None = None
) -> str:
    """The form; `hidden` is the authorize request, which the form sends along."""
    fields = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    wishes = "".join(f"<li>{escape(_MEANINGS[scope])}</li>" for scope in sorted(scopes))
    known = "; ".join(f"{escape(one.email)} ({escape(one.role)})" for one in PEOPLE.values())
    said = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    content = f"""<h1>Sign in to the Constant Contact sandbox</h1>
{said}<p>The application <strong>{escape(hidden.get("client_id", ""))}</strong> would like to:</p>
<ul>{wishes}</ul>
<form method="post">
{fields}
<label>Email <input name="email" type="email" value="{OWNER}" autocomplete="off"></label>
<label>Password <input name="password" type="password" value="sandbox" autocomplete="off"></label>
<button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny">Deny</button>
</form>
<p class="note">This is a stand-in on your own machine. Any password does. Known are: {known}.</p>"""
    return _PAGE.format(title="Sign in: Constant Contact sandbox", content=content)


def refusal_page(problem: str) -> Response:
    """What a person sees when the request itself is wrong, so that nothing may be sent back."""
    content = f'<h1>This cannot go on</h1><p class="problem" role="alert">{escape(problem)}</p>'
    return HTMLResponse(_PAGE.format(title="Sign-in refused", content=content), 400)
