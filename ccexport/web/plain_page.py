"""A page of one sentence, for answers outside the dashboard's screens."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · ccexport</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.55 system-ui, sans-serif; margin: 0; color: #1b2433; background: #f3f6fa; }}
main {{ max-width: 34rem; margin: 4rem auto; padding: 2rem; background: #fff; border: 1px solid #d7dee8;
  border-radius: 8px; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .75rem; }}
a {{ color: #1d5fbf; }}
@media (max-width: 40rem) {{ main {{ margin: 1rem; padding: 1.25rem; }} }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #e8edf4; background: #11161f; }}
  main {{ background: #1b2330; border-color: #33404f; }}
  a {{ color: #8ab8f5; }}
}}
</style>
</head>
<body><main><h1>{title}</h1><p>{text}</p><p><a href="{base_path}/connections">Go to Connections</a></p></main></body>
</html>"""


def plain_page(title: str, text: str, status: int, *, base_path: str = "") -> HTMLResponse:
    """`text` may come from anywhere: it is shown as it is. Kept by no cache."""
    content = _PAGE.format(title=escape(title), text=escape(text), base_path=escape(base_path))
    return HTMLResponse(content, status, {"Cache-Control": "no-store"})
