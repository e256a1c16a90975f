import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    greeting = os.environ.get("GREETING", "nobody said what")
    return f"Hello from {os.environ.get('DYNO')}, {greeting}\n"
