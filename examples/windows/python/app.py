"""A page that says on what it runs. WSGI (PEP 3333), served by waitress."""
import os
import platform

from markupsafe import escape

PAGE = "<p>Hello {hello}!</p><p>{system}, Python {python}, in {directory}: {text}</p>\n"


def app(environ, start_response):
    with open("grüße.txt", encoding="utf-8") as file:
        text = file.read().strip()
    values = {
        "hello": os.environ.get("GREETING", "world"),
        "system": platform.system(),
        "python": platform.python_version(),
        "directory": os.getcwd(),
        "text": text,
    }
    body = PAGE.format(**{name: escape(value) for name, value in values.items()}).encode()
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
