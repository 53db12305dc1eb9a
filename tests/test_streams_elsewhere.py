"""Stream files outside of rnnspec: the examples answer chunks as the whole file answers the row.

Python needs onnxruntime alone. Node and the browser need the packages that `make examples` brings,
C a compiler and onnxruntime's headers; without them these tests skip, saying so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import onnxruntime
import pytest

from rnnspec.export import export_onnx
from rnnspec.export.probes import probes
from tests.kinds import HORIZON, output, spec_data
from tests.test_streams import WAITING, trained

EXAMPLES = Path(__file__).parent.parent / "examples"
STEPS = 3
LSTM = [{"cell": "lstm", "units": 8}]
FORECAST = {"column": "series", "as": "forecast", "horizon": HORIZON, "distribution": "gaussian"}


def of_sound(outputs: list[dict[str, Any]], features: Mapping[str, Any]) -> dict[str, Any]:
    spec = spec_data("N:1" if outputs[0]["as"] == "class" else "N:N", ["raw_sound"], outputs, LSTM)
    # Browsers have no rates below 3000.
    spec["data"]["input"][0] |= {"rate": 4000, "features": features}
    return spec


DRAW = np.random.default_rng(0)
SAMPLES = DRAW.integers(-9000, 9000, 200)
MODELS: Mapping[str, tuple[dict[str, Any], Any]] = {
    "tagger": (
        spec_data("N:N", ["words"], [output("tags")], LSTM),
        "one two three two  one nine two",
    ),
    "next": (spec_data("N:N", ["chars"], [{"column": "chars", "as": "next"}]), "abcab äb cc"),
    "writer": (spec_data("N:N", ["chars"], [{"column": "chars", "as": "next"}]), "abcab äb cc"),
    "sound": (
        of_sound(
            [output("out_frames"), output("tags")], {"raw": True, "window": "1 ms", "hop": "0.5 ms"}
        ),
        (SAMPLES / 32768).tolist(),
    ),
    "mel": (
        of_sound([output("class")], {"log_mel": 4, "window": "16 ms", "hop": "8 ms"}),
        (SAMPLES / 32768).tolist(),
    ),
    "policy": (spec_data("N:N", ["frames"], [output("tags")]), DRAW.normal(size=(10, 3)).tolist()),
    "ahead": (
        spec_data("N:N", ["frames"], [output("tags"), output("out_frames")], WAITING),
        DRAW.normal(size=(10, 3)).tolist(),
    ),
    "digit": (
        spec_data("N:1", ["frames"], [output("class")], LSTM, pooling="max"),
        DRAW.normal(size=(10, 3)).tolist(),
    ),
    "forecast": (spec_data("N:1", ["series"], [FORECAST]), DRAW.normal(size=11).tolist()),
}
"""Specs by name, each with the value of a row."""
OF_ROWS = ("mel", "digit", "forecast")
"""Those whose answer is of all chunks so far; the others answer each step."""
Outputs = dict[str, Any]


@dataclass(frozen=True)
class World:
    """A folder with the examples, and by name a stream file, a row and the whole file's outputs."""

    folder: Path
    whole: Mapping[str, Outputs]

    def check(self, name: str, answers: list[Outputs]) -> None:
        """Chunks, put together, are the whole row."""
        steps = json.loads((self.folder / f"{name}.json").read_text())["stream"]["answered"]
        assert len(answers) > 2
        for key, expected in self.whole[name].items():
            found = answers[-1][key]
            if name not in OF_ROWS:
                found = [step for answer in answers for step in answer[key]]
            if isinstance(np.ravel(expected)[0], str):
                assert found == expected
            else:
                np.testing.assert_allclose(found, expected, atol=1e-5)
        assert steps.keys() == ({"tags", "out_frames"} if name in ("ahead", "sound") else set())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("examples")
    for file in EXAMPLES.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    whole = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnnspec.export.write.probes", partial(probes, seeds=1))
        for name, (spec, value) in MODELS.items():
            build = trained(spec)
            written: dict[str, Any] = {"generate": 1} if name == "writer" else {}
            export_onnx(build, folder / f"{name}.onnx", stream=True, **written)
            export_onnx(build, folder / "whole.onnx", **written)
            column = spec["data"]["input"][0]["column"]
            (folder / f"{name}.row.json").write_text(json.dumps({column: value}))
            expected = written_between if name == "writer" else of_whole_row
            whole[name] = expected(folder / "whole.onnx", column, value)
    return World(folder, whole)


def of_whole_row(file: Path, column: str, value: Any) -> Outputs:
    session = onnxruntime.InferenceSession(file)
    text = isinstance(value, str)
    feeds = {column: np.array([value], object if text else np.float32)}
    if not text:
        feeds[f"{column}.lengths"] = np.array([len(value)])
    names = [each.name for each in session.get_outputs()]
    found = dict(zip(names, session.run(names, feeds), strict=True))
    return {name: np.asarray(each[0]).tolist() for name, each in found.items()}


def written_between(file: Path, column: str, value: str) -> Outputs:
    """The token written behind each chunk, which is asked for with all that stands before it."""
    so_far, found = "", []
    for begin in range(0, len(value), STEPS):
        so_far += value[begin : begin + STEPS]
        (key, text), *_ = of_whole_row(file, column, so_far).items()
        found.append(text.removeprefix(so_far))
        so_far = text
    return {key: found}


def asked(*command: object, stdin: str = "", folder: Path | None = None) -> str:
    arguments = list(map(str, command))
    done = subprocess.run(
        arguments, input=stdin, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(text: str) -> list[Outputs]:
    return [json.loads(line) for line in text.splitlines()]


def test_python_with_onnxruntime_alone(world: World) -> None:
    """All models in one process, to which nothing else of ours can be imported."""
    script = f"""
import runpy, sys
sys.modules["rnnspec"] = sys.modules["torch"] = sys.modules["onnx"] = None
for name in {list(MODELS)}:
    print("of", name)
    sys.argv[1:] = [f"{{name}}.onnx", f"{{name}}.row.json", "{STEPS}"]
    runpy.run_path("stream.py", run_name="__main__")
"""
    (world.folder / "all.py").write_text(script)
    said = asked(sys.executable, "all.py", folder=world.folder).split("of ")[1:]
    for part in said:
        name, _, rest = part.partition("\n")
        world.check(name, lines(rest))
    assert len(said) == len(MODELS)


# ------------------------------------------------------------------------ Node and a browser


def packages(world: World, name: str) -> None:
    """The npm packages beside the examples; skips without them."""
    found = Path(os.environ.get("RNNSPEC_NODE_MODULES", EXAMPLES / "node_modules"))
    if not (found / name).is_dir():
        pytest.skip(f"{name} is not in {found}; `make examples` brings it")
    link = world.folder / "node_modules"
    if not link.exists():
        link.symlink_to(found)


def test_node(world: World) -> None:
    packages(world, "onnxruntime-node")
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    script = world.folder / "stream.mjs"
    for name in MODELS:
        model, row = world.folder / f"{name}.onnx", world.folder / f"{name}.row.json"
        world.check(name, lines(asked(node, script, model, row, STEPS)))


PAGE = """<!doctype html><script type="module">
const frame = document.body.appendChild(document.createElement("iframe"));
const found = {};
const until = async (known) => {
  while (!known()) await new Promise((resolve) => setTimeout(resolve, 50));
};
for (const [name, address] of Object.entries(ADDRESSES)) {
  frame.src = address;
  await new Promise((resolve) => { frame.onload = resolve });
  const shown = frame.contentDocument.querySelector("#answers");
  await until(() => shown.dataset.done);
  if (name === "microphone") {
    frame.contentDocument.querySelector("#microphone").click();
    await until(() => shown.textContent.split("\\n").length > 5);
  }
  found[name] = shown.textContent;
}
await fetch("/found", { method: "POST", body: JSON.stringify(found) });
</script>"""
"""Opens `stream.html` with each model, and sends what it shows."""
QUIET = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --disable-dev-shm-usage
--use-fake-device-for-media-stream --use-fake-ui-for-media-stream
--autoplay-policy=no-user-gesture-required
"""


class Served(SimpleHTTPRequestHandler):
    """The files of a folder; what is sent back goes into `found`."""

    found: Queue[str] = Queue()

    def do_POST(self) -> None:
        self.found.put(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said."""


def test_a_page_in_a_browser(world: World, tmp_path: Path) -> None:
    """The row of each model; of sound a wav file too, and a microphone that beeps."""
    packages(world, "onnxruntime-web")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("there is no chromium")
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(world.folder / "sound.wav", SAMPLES.astype(np.int16), 4000)
    addresses = {
        name: f"stream.html?model={name}.onnx&row={name}.row.json&steps={STEPS}" for name in MODELS
    }
    addresses["wav"] = f"stream.html?model=sound.onnx&wav=sound.wav&steps={STEPS}"
    addresses["microphone"] = "stream.html?model=sound.onnx"
    page = PAGE.replace("ADDRESSES", json.dumps(addresses))
    (world.folder / "all.html").write_text(page)
    handler = partial(Served, directory=str(world.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/all.html"
        command = [browser, *QUIET.split(), f"--user-data-dir={tmp_path}", address]
        with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
            try:
                found = json.loads(Served.found.get(timeout=300))
            finally:
                process.terminate()
                process.communicate()
        server.shutdown()
    for name in MODELS:
        world.check(name, lines(found[name]))
    world.check("sound", lines(found["wav"]))
    assert sum(len(answer["tags"]) for answer in lines(found["microphone"])) > 100


# ------------------------------------------------------------------------ C


def built(world: World) -> Path:
    """The program in C; skips without a compiler, the library or its header."""
    folders = (
        os.environ.get("ONNXRUNTIME_INCLUDE"),
        EXAMPLES / "include",
        "/usr/include/onnxruntime",
    )
    header = "onnxruntime_c_api.h"
    include = next((Path(f) for f in folders if f and (Path(f) / header).exists()), None)
    capi = Path(onnxruntime.__file__).parent / "capi"
    library = next(capi.glob("libonnxruntime.so*"), None)
    compiler = shutil.which("cc")
    wanted = {"a C compiler": compiler, f"libonnxruntime in {capi}": library, header: include}
    if lacking := [name for name, found in wanted.items() if not found]:
        pytest.skip(f"there is no {' and no '.join(lacking)}; `make examples` brings headers")
    assert include and library and compiler
    program = world.folder / "stream"
    named = world.folder / "libonnxruntime.so.1"  # as the linker notes it, which the wheel lacks
    named.symlink_to(library)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-isystem", include]
    paths = [world.folder / "stream.c", named, f"-Wl,-rpath,{world.folder}"]
    asked(compiler, *flags, *paths, "-o", program)
    return program


def test_c(world: World) -> None:
    program = built(world)
    for name, (_, value) in MODELS.items():
        if isinstance(value, str):
            parts = value.replace(" ", "\n ").split("\n") if name == "tagger" else list(value)
            if name == "writer":
                parts = [value[begin : begin + STEPS] for begin in range(0, len(value), STEPS)]
            given = "\n".join(part for part in parts if part.strip() or name == "next")
        else:
            given = " ".join(map(str, np.ravel(value).tolist()))
        said = asked(program, world.folder / f"{name}.onnx", STEPS, stdin=given)
        of_name: dict[str, list[list[str]]] = {}
        for line in said.splitlines():
            key, _, values = line.partition(":")
            of_name.setdefault(key, []).append(values.split())
        for key, expected in world.whole[name].items():
            found = of_name[key][-1:] if name in OF_ROWS else of_name[key]
            flat = [each for chunk in found for each in chunk]
            wanted = np.ravel(expected).tolist()
            if isinstance(wanted[0], str):
                assert flat == [each for each in wanted if each.strip()]
            else:
                np.testing.assert_allclose(np.array(flat, float), wanted, atol=1e-5)
