"""Lists of things to do, in one SQLite file. An ordinary Flask app: it knows nothing of meerkat.

``python app.py FILE PORT NAME`` serves the file's lists at 127.0.0.1:PORT.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, redirect, render_template_string, request
from werkzeug.wrappers import Response as AnyResponse

__all__ = ["create_tables", "make_app"]

BUSY = 10.0  # seconds to wait for another program that writes to the file
SCHEMA = """
CREATE TABLE IF NOT EXISTS lists (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL CHECK (title <> '')
);
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY,
    list INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    text TEXT NOT NULL CHECK (text <> ''),
    done INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
);
CREATE INDEX IF NOT EXISTS tasks_of_a_list ON tasks (list);
"""
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ name }}: things to do</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto }
  section { border: 1px solid #ccc; border-radius: 8px; padding: .2rem 1rem 1rem; margin: 1rem 0 }
  ul { list-style: none; padding: 0 } li { display: flex; gap: .5rem; margin: .3rem 0 }
  form { display: inline } li .text { flex: 1 } .done .text { text-decoration: line-through }
  button, input { font: inherit; padding: .1rem .5rem }
</style>
<h1>Things to do</h1>
<p>This is the copy of {{ name }}: {{ lists | length }} lists, {{ total }} tasks.</p>
<form method="post" action="/lists">
  <label>New list <input name="title" required></label> <button>Add</button>
</form>
<main id="lists">
{% for list in lists %}
<section>
  <h2>{{ list.title }}</h2>
  <ul>
  {% for task in list.tasks %}
    <li class="{{ 'done' if task.done }}">
      <form method="post" action="/tasks/{{ task.id }}/done">
        <button aria-label="{{ 'Not done' if task.done else 'Done' }}: {{ task.text }}">
          {{ '☑' if task.done else '☐' }}</button>
      </form>
      <span class="text">{{ task.text }}</span>
      <form method="post" action="/tasks/{{ task.id }}/delete">
        <button aria-label="Delete: {{ task.text }}">✕</button>
      </form>
    </li>
  {% endfor %}
  </ul>
  <form method="post" action="/lists/{{ list.id }}/tasks">
    <label>New task <input name="text" required></label> <button>Add</button>
  </form>
  <form method="post" action="/lists/{{ list.id }}/delete"><button>Delete the list</button></form>
</section>
{% endfor %}
</main>
<script>
  // What others write is shown within a second, unless something is being typed here.
  setInterval(async () => {
    if (document.activeElement instanceof HTMLInputElement) return;
    const text = await (await fetch("/")).text();
    const fresh = new DOMParser().parseFromString(text, "text/html");
    document.body.replaceChildren(...fresh.body.childNodes);
  }, 1000);
</script>
</html>
"""


def make_app(file: str, name: str) -> Flask:
    """The app for one copy of the database; ``name`` stands on its page."""
    app = Flask(__name__)

    @contextmanager
    def database() -> Iterator[sqlite3.Connection]:
        """A connection whose writes are one transaction."""
        connection = sqlite3.connect(file, timeout=BUSY)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def write(sql: str, *values: Any) -> AnyResponse:
        with database() as connection:
            connection.execute(sql, values)
        return redirect("/", code=303)

    @app.get("/")
    def show() -> str:
        with database() as connection:
            tasks = [dict(row) for row in connection.execute("SELECT * FROM tasks ORDER BY id")]
            lists = [dict(row) for row in connection.execute("SELECT * FROM lists ORDER BY id")]
        for one in lists:
            one["tasks"] = [task for task in tasks if task["list"] == one["id"]]
        return render_template_string(PAGE, name=name, lists=lists, total=len(tasks))

    @app.get("/tasks.json")
    def tell() -> list[dict[str, Any]]:
        sql = "SELECT title, text, done FROM tasks JOIN lists ON list = lists.id ORDER BY 1, 2"
        with database() as connection:
            return [dict(row) for row in connection.execute(sql)]

    @app.post("/lists")
    def add_list() -> AnyResponse:
        """A list and its first task: one transaction, so nobody ever sees the one without."""
        with database() as connection:
            made = connection.execute(
                "INSERT INTO lists (title) VALUES (?)", (request.form["title"],)
            )
            connection.execute(
                "INSERT INTO tasks (list, text) VALUES (?, ?)",
                (made.lastrowid, f"begin with {request.form['title']}"),
            )
        return redirect("/", code=303)

    @app.post("/lists/<int:number>/delete")
    def delete_list(number: int) -> AnyResponse:
        return write("DELETE FROM lists WHERE id = ?", number)

    @app.post("/lists/<int:number>/tasks")
    def add_task(number: int) -> AnyResponse:
        return write("INSERT INTO tasks (list, text) VALUES (?, ?)", number, request.form["text"])

    @app.post("/tasks/<int:number>/done")
    def switch_done(number: int) -> AnyResponse:
        return write("UPDATE tasks SET done = 1 - done WHERE id = ?", number)

    @app.post("/tasks/<int:number>/delete")
    def delete_task(number: int) -> AnyResponse:
        return write("DELETE FROM tasks WHERE id = ?", number)

    @app.errorhandler(sqlite3.IntegrityError)
    def refuse(error: sqlite3.IntegrityError) -> Response:
        return Response(f"The database refuses this: {error}\n", status=409, mimetype="text/plain")

    return app


def create_tables(file: str) -> None:
    """For a file that is new."""
    connection = sqlite3.connect(file, timeout=BUSY)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
    finally:
        connection.close()


if __name__ == "__main__":
    make_app(sys.argv[1], sys.argv[3]).run("127.0.0.1", int(sys.argv[2]), threaded=True)
