"""A page that says by what it was built and with what it runs."""

import os
from pathlib import Path

import bottle


@bottle.get("/")
def index():
    return (
        '<link rel="stylesheet" href="/static/style.css">'
        f"<p>Built by buildpacks, release {os.environ['RELEASE']}, bottle {bottle.__version__}</p>"
    )


@bottle.get("/static/<name>")
def static(name):
    return bottle.static_file(name, root=Path(__file__).parent / "static")


if __name__ == "__main__":
    bottle.run(host="0.0.0.0", port=int(os.environ.get("PORT", "8080")))
