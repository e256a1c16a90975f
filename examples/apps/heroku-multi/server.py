"""Serves what the buildpack `site` made."""

import http.server
import os
import pathlib

PUBLIC = pathlib.Path(__file__).parent / "public"


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=str(PUBLIC))


if __name__ == "__main__":
    print("serves as", os.environ["DYNO"], "with theme", os.environ["SITE_THEME"], flush=True)
    http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
