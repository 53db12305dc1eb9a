"""onnxruntime-web in a real browser: files and their calls over HTTP, each in its own frame."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from elsewhere.environments import HERE, SECONDS, Found, packages

NAMES = ("chromium", "chromium-browser", "google-chrome")
AT_ONCE = 50
"""Files of one process: each takes a memory of its own, and after about 120 there is none left."""
QUIET = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --disable-dev-shm-usage
"""
PAGE = """<!doctype html><script type="module">
for (const name of NAMES) {
  const frame = document.body.appendChild(document.createElement("iframe"));
  const late = new Promise((end) => setTimeout(end, SECONDS * 1000));
  const done = new Promise((end) => addEventListener("message", end, { once: true }));
  frame.src = `frame.html?${name}`;
  await Promise.race([done, late]);
  frame.remove();
}
</script>"""
FRAME = """<!doctype html><script type="module">
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { answered } from "./answer.mjs";
ort.env.wasm.numThreads = 1;
const name = location.search.slice(1);
const { groups } = await (await fetch(`${name}.calls.json`)).json();
const found = await answered(ort, `${name}.onnx`, groups);
await fetch("/found", { method: "POST", body: JSON.stringify([name, found]) });
parent.postMessage("done");
</script>"""


def browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class _Served(SimpleHTTPRequestHandler):
    """The files of a folder; what is sent back goes into `found`."""

    found: Queue[tuple[str, Found]] = Queue()

    def do_POST(self) -> None:
        self.found.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said."""


def in_browser(
    files: Path, names: Sequence[str], environments: Path
) -> Iterator[tuple[str, Found]]:
    """The answers of each file that gives any."""
    program, npm = browser(), shutil.which("npm")
    assert program and npm
    modules = packages(environments, npm) / "node_modules"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in names:
            for ending in (".onnx", ".calls.json"):
                (folder / f"{name}{ending}").symlink_to(files / f"{name}{ending}")
        (folder / "node_modules").symlink_to(modules.resolve())
        shutil.copy(HERE / "answer.mjs", folder)
        (folder / "frame.html").write_text(FRAME)
        handler = partial(_Served, directory=str(folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for start in range(0, len(names), AT_ONCE):
                page = PAGE.replace("SECONDS", str(SECONDS))
                part = names[start : start + AT_ONCE]
                (folder / "all.html").write_text(page.replace("NAMES", json.dumps(part)))
                yield from _answers(program, folder, server.server_port, len(part))
            server.shutdown()


def _answers(program: str, folder: Path, port: int, count: int) -> Iterator[tuple[str, Found]]:
    """Those of the page in one process of the browser."""
    own = f"--user-data-dir={folder / 'profile'}"
    command = [program, *QUIET.split(), own, f"http://127.0.0.1:{port}/all.html"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(count):
                yield _Served.found.get(timeout=2 * SECONDS)
        except Empty:
            pass
        finally:
            process.terminate()


def version() -> str:
    """Of the browser."""
    program = browser()
    assert program
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition(" built")[0].strip()
