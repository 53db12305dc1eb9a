"""A checked spec, and a build: what `rnnspec.load` and `rnnspec.builds` give. Each gives the other,
so that both stand here: no two modules import each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rnnspec.api.given import as_set, given
from rnnspec.errors import DataError, SpecError
from rnnspec.source.text import read_source
from rnnspec.spec.data_files import missing_files
from rnnspec.spec.load import LoadedSpec, load_source, resolved_yaml

if TYPE_CHECKING:
    from rnnspec.api.data import Data
    from rnnspec.api.events import OnEvent
    from rnnspec.api.module import Batches, Module
    from rnnspec.data.profile import Profile
    from rnnspec.evaluate.score import Scores
    from rnnspec.export.c import Written
    from rnnspec.export.file import Exported, Quantize, State
    from rnnspec.plan import Plan
    from rnnspec.store.folder import BuildFolder, Trained, Which

Path_ = str | os.PathLike[str]


def load(spec: Path_ | Mapping[str, Any], set: Mapping[str, Any] | None = None) -> Spec:
    """The checked spec: see `rnnspec.load`."""
    return Spec(*given(spec, set))


class Spec:
    """A checked spec. `rnnspec.load` makes one.

    >>> spec
    <spec walk, N:1: reads word (chars), answers kind (class)>
    """

    def __init__(self, loaded: LoadedSpec, overrides: Sequence[str], names_data: bool) -> None:
        self._loaded, self._overrides, self._names_data = loaded, overrides, names_data

    @property
    def name(self) -> str:
        """The name of the model, which is that of the folder of its builds."""
        return self._loaded.spec.name

    @property
    def cardinality(self) -> str:
        """1:1, N:1, 1:N, N:N or N:M."""
        return self._loaded.spec.cardinality

    @property
    def yaml(self) -> str:
        """The spec in YAML with every default written out; `rnnspec.load` takes it back."""
        return resolved_yaml(self._loaded.spec)

    def check(self) -> list[str]:
        """The data files that the spec names and that are not there. Reads no data.

        Raises SpecError, whose `problems` has the place and the cure of each, where the files that
        are there cannot make one data set, and DataError where the spec names no training rows.

        >>> spec.check()
        []
        """
        self._needs_data()
        return missing_files(self._loaded)

    def show(self, *, data: Data | None = None) -> str:
        """The plan as text: layers, shapes and equations, as `rnnspec show` prints it. The training
        rows are read once, since the sizes in the plan depend on them; for `data` see `build`.

        >>> print(spec.show().splitlines()[0])
        plan walk (N:1), 1,698 trained weights
        """
        from rnnspec.plan import dump

        return dump(self._plan(data))

    def diagram(self, *, data: Data | None = None, columns: int = 100) -> str:
        """The model drawn in `columns` characters a line; see `show`."""
        from rnnspec.plan import diagram

        return diagram.text(diagram.diagram(self._plan(data)), columns, "utf-8")

    def svg(self, *, data: Data | None = None) -> str:
        """The model drawn as SVG; see `show`."""
        from rnnspec.plan import diagram

        return diagram.svg(diagram.diagram(self._plan(data)))

    def profile(self, *, data: Data | None = None) -> Profile:
        """A look at the rows, as `rnnspec data` prints it (`rnnspec.data.profile.Profile`): of each
        column lengths, numbers, labels and missing cells, rows that come again, and `findings`,
        sentences on what may be a mistake. Bad rows are counted; for `data` see `build`. Raises
        DataError for files that cannot be read, or that lack a column.

        >>> spec.profile().findings[0]
        "column 'kind': 2 of 2 labels have fewer than 5 training rows: 'noun', 'verb'"
        """
        from rnnspec.data.memory import told_by_row
        from rnnspec.data.profile import profile
        from rnnspec.data.shards import find_sources

        with TemporaryDirectory(prefix="rnnspec-") as folder:
            loaded, names = self.loaded_with(data, Path(folder))
            with told_by_row(names):
                home = loaded.path.parent
                return profile(loaded.spec, find_sources(loaded.spec.data, home), home)

    def build(
        self,
        out: Path_ = "builds",
        *,
        data: Data | None = None,
        resume: bool = False,
        train: bool = True,
        on_event: OnEvent | None = None,
    ) -> Build:
        """Train the model; leaves the folder `out`/NAME/001, 002, … as `rnnspec build` does.

        - `data`: rows in memory in place of the files of the spec: `{"train": rows, "valid": rows}`
          with rows as `Build.predict` takes them, or paths; without `valid` that of the spec stays,
          such as a share. The rows are kept beside the builds, as JSON lines.
        - `resume`: go on with the newest build of this spec that was stopped, to the same numbers.
        - `train=False`: leave the weights as they are before training, for a loop of your own.
        - `on_event`: called with every `Event`; without it nothing is said.

        Ctrl-C ends training after the current batch with KeyboardInterrupt, and `resume` goes on
        from there. Raises DataError for bad rows, with the number of the row from 1, SpecError
        where settings of the spec do not fit the data, BuildError where nothing can be resumed or
        training fails.

        >>> build = spec.build(data={"train": rows, "valid": rows})
        >>> build.metrics["accuracy"] >= 0.5
        True
        """
        from rnnspec.api.building import built
        from rnnspec.api.data import FOLDER

        loaded, names = self.loaded_with(data, Path(out) / FOLDER)
        return Build(built(loaded, Path(out), names, resume, train, on_event))

    def loaded_with(self, data: Data | None, folder: Path) -> tuple[LoadedSpec, dict[Path, str]]:
        """The spec with `data` in files in `folder`, and how messages call these."""
        from rnnspec.api.data import with_data

        try:
            loaded, names = with_data(
                self._loaded, self._overrides, {} if data is None else data, folder
            )
        except SpecError as error:
            raise as_set(error) from None
        if data is None or "train" not in data:
            self._needs_data()
        return loaded, names

    def _needs_data(self) -> None:
        if not self._names_data:
            raise DataError(
                f"{self.name}: the spec names no data.train; give data={{'train': rows}}"
            )

    def _plan(self, data: Data | None) -> Plan:
        from rnnspec.data import survey
        from rnnspec.data.memory import told_by_row
        from rnnspec.data.shards import find_sources
        from rnnspec.plan import resolve

        with TemporaryDirectory(prefix="rnnspec-") as folder:
            loaded, names = self.loaded_with(data, Path(folder))
            with told_by_row(names):
                train = find_sources(loaded.spec.data, loaded.path.parent).train
                return resolve(loaded.spec, survey(loaded.spec, train, folder=loaded.path.parent))

    def __repr__(self) -> str:
        data = self._loaded.spec.data
        read, answered = _named(data.inputs), _named(data.outputs)
        return f"<spec {self.name}, {self.cardinality}: reads {read}, answers {answered}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        text = escape(self._loaded.document.source.text)
        return f"<p><b>{escape(self.name)}</b>, {self.cardinality}</p><pre>{text}</pre>"


def _named(columns: Sequence[Any]) -> str:
    """`word (chars), kind (class)`."""
    kinds = [(getattr(each, "column", ""), getattr(each, "as_", "")) for each in columns]
    return ", ".join(f"{column} ({kind})" for column, kind in kinds if column)


class Build:
    """A build: a folder with a trained model. `Spec.build` and `rnnspec.builds` give one.

    >>> build
    <build builds/walk/001, finished: accuracy 1, macro_f1 1, best epoch 20>
    """

    def __init__(self, folder: BuildFolder, which: Which = "best") -> None:
        self._folder, self._which = folder, which

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    @property
    def name(self) -> str:
        """The name of its spec."""
        return self.path.parent.name

    @property
    def spec(self) -> Spec:
        """The spec that it was built from, with every default written out; paths of data start at
        the folder of the spec then."""
        loaded = load_source(read_source(self._folder.spec, str(self._folder.spec)), self._source)
        return Spec(loaded, (), True)

    @property
    def state(self) -> str:
        """`finished`, `stopped`, `training` (or killed while it was), `failed`, `pruned` (by
        `rnnspec tune`), `imported`, or `not trained`."""
        return str(self._folder.read_state()["state"])

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of its best epoch on the validation rows; empty without any. With several
        outputs their names start with the column. Shares are 0 to 1, losses in nats, errors in the
        unit of the data."""
        from rnnspec.store.files import numbers_of

        return numbers_of(self._folder.read_state().get("valid", {}))

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose weights it holds; 0 of a build that was not trained."""
        return int(self._folder.read_state().get("best_epoch", 0))

    @property
    def history(self) -> list[dict[str, Any]]:
        """What was measured after each epoch, as `train.loss` and `valid.loss`."""
        return list(self._folder.records())

    @property
    def warnings(self) -> list[str]:
        """What was warned of while it was built."""
        return list(self._folder.read_state().get("warnings", []))

    @property
    def notes(self) -> list[str]:
        """What was noted about its data."""
        return list(self._folder.read_state().get("notes", []))

    @property
    def report(self) -> Path | None:
        """The report, one HTML file; None where there is none."""
        return self._folder.report if self._folder.report.exists() else None

    @property
    def last(self) -> Build:
        """The same build with the weights that training ended with, in place of the best ones."""
        return Build(self._folder, "last")

    @cached_property
    def module(self) -> Module:
        """The model as an `nn.Module` with the loss of the spec: `module(batch).loss` is a scalar
        to minimize (`rnnspec.api.module.Module` has the shapes). What a loop of your own makes of
        its weights, `predict`, `evaluate` and `export` use from then on; the folder keeps its own.

        >>> import torch
        >>> optimizer = torch.optim.Adam(build.module.parameters(), lr=0.01)
        >>> for batch in build.encode(rows, batch=2):
        ...     optimizer.zero_grad()
        ...     loss = build.module(batch).loss
        ...     loss.backward()
        ...     optimizer.step()
        >>> loss.shape
        torch.Size([])
        """
        from rnnspec.api.module import Module

        return Module(self._read)

    def encode(
        self, rows: Any = None, *, batch: int = 32, shuffle: bool = False, seed: int = 0
    ) -> Batches:
        """Batches of at most `batch` rows for `module`; without `rows` the rows that the build was
        trained on. Rows as `predict` takes them, or the path of a file, with the columns that are
        answered too. With `shuffle` each pass over them is in another order.

        Raises DataError for a bad row, with its number from 1.

        >>> build.encode(rows, batch=2)
        <2 batches of 4 rows>
        >>> batch = next(iter(build.encode(rows, batch=4)))
        >>> values, lengths = batch.inputs["word"]
        >>> values.shape, lengths.tolist(), batch.targets["kind"].tolist()
        ((4, 3), [2, 3, 3, 3], [0, 0, 1, 1])
        """
        from rnnspec.api.rows import encoded

        return encoded(self._read, rows, batch, shuffle, seed)

    def predict(
        self,
        rows: Any,
        *,
        strategy: str = "",
        generate: int | None = None,
        batch: int = 64,
        seed: int = 0,
    ) -> Any:
        """The answers to `rows`, in their form, as an exported file gives them: see
        `rnnspec.run.opened.OpenModel.predict`, which says what rows may be.

        `strategy`: the search for texts in place of the spec's, as `beam:5`; `generate`: a language
        model continues each row, a prompt, by at most so many tokens. The first call takes a moment
        more than later ones.

        >>> build.predict([{"word": "ant"}])[0]["kind"]
        'noun'
        >>> build.predict(["ant", "run"])
        ['noun', 'verb']
        """
        from rnnspec.api.names import python_names
        from rnnspec.run.predict import predict

        with python_names():
            model = self._answering(strategy, generate)
        return predict(model, rows, batch, seed)

    def perplexity(self, text: str) -> dict[str, float]:
        """The perplexity of a text, of a language model, and bits for each token, character and
        byte, as `rnnspec evaluate --text` measures them: each token but the first is answered from
        all before it.

        Raises RnnspecError for a build that answers no next token of a text, and DataError for a
        text of less than two tokens.
        """
        from rnnspec.evaluate.perplexity import perplexity_of

        return perplexity_of(self._current(), text).values()

    def evaluate(
        self,
        rows: Any = None,
        metrics: Sequence[str] = (),
        *,
        windows: str | int | None = None,
        output: Path_ | None = None,
        by: str = "",
    ) -> Scores:
        """The metrics of the weights on `rows`, with the columns that are answered, or on the path
        of a file; without rows on the validation rows (`rnnspec.evaluate.score.Scores`: `.metrics`
        by name, `.outputs` by column, `.warnings`, `.groups`). `metrics`: further ones to measure,
        by names as in `train.metrics`. The keywords are the options of `rnnspec evaluate`: which
        windows of forecasts are measured (`"last"`, `"every 24"`, or a number of them, a horizon
        apart) and the file that all forecasts are written to, and the column whose values make
        groups.

        Raises DataError for a bad row, with its number from 1, and without rows where the spec
        names no validation rows; RnnspecError for windows of other answers; OutputError where the
        forecasts cannot be written.

        >>> build.evaluate(rows).metrics["accuracy"]
        1.0
        """
        from rnnspec.api.names import python_names
        from rnnspec.api.rows import measured
        from rnnspec.run.tables import forecasts_path

        every = None if windows is None else str(windows)
        file = None if output is None else forecasts_path(Path(output))
        with python_names():
            return measured(self._current(), rows, metrics, every, file, by)

    def export(
        self,
        path: Path_ | None = None,
        *,
        opset: int | None = None,
        ids: bool = False,
        portable: bool = False,
        batch: int | None = None,
        describe: bool = False,
        attention: bool = False,
        alignment: bool = False,
        strategy: str = "",
        generate: bool = False,
        steps: int | None = None,
        stream: bool = False,
        state: State = "named",
        step: bool = False,
        quantize: Quantize | None = None,
        half: bool = False,
        max_loss: str = "",
    ) -> Exported:
        """Write one ONNX file, proven to answer as the module does; without `path` NAME.onnx in the
        build folder. The keywords are the options of `rnnspec export --onnx`: version of the
        operators (None: the lowest that they need), token numbers in place of text, a file for
        other runtimes too, a number of rows that is always the same, FILE.json beside it, weights
        of attention or steps of an alignment as outputs, the search for texts, a language model
        that writes on by at most `steps` tokens, a stream (its states named or joined, or of single
        steps), weights in 8 or in 16 bits and how much of a metric that may cost, as `"0.5 %"`.

        Gives the path and the figures of the proof; `str()` of it is what the command prints.
        Raises ExportError where answers differ or for an option without effect, OutputError where
        the file cannot be written.

        >>> print(build.export("walk.onnx").path)
        walk.onnx
        """
        from rnnspec.api.names import python_names
        from rnnspec.export.file import OnnxOptions, export_file

        options = OnnxOptions(
            output=None if path is None else Path(path),
            opset=opset,
            ids=ids,
            portable=portable,
            batch=batch,
            describe=describe,
            attention=attention,
            alignment=alignment,
            strategy=strategy,
            generate=generate,
            steps=steps,
            stream=stream,
            state=state,
            step=step,
            quantize=quantize,
            half=half,
            max_loss=max_loss,
        )
        with python_names():
            return export_file(self._current(), options)

    def export_c(self, folder: Path_, *, int8: bool = False) -> Written:
        """Write the model as C99 that answers step by step: NAME.h, NAME.c, an example main.c and
        NAME.json, as `rnnspec export --c` does. Raises ExportError, as where the model cannot
        answer so or there is no C compiler to prove it with."""
        from rnnspec.api.names import python_names
        from rnnspec.export.c import export_c

        with python_names():
            return export_c(self._current(), Path(folder), int8=int8)

    def show(self) -> str:
        """The plan as text: layers, shapes and equations."""
        from rnnspec.plan import dump

        return dump(self._plan)

    def diagram(self, *, columns: int = 100) -> str:
        """The model drawn in `columns` characters a line."""
        from rnnspec.plan import diagram

        return diagram.text(diagram.diagram(self._plan), columns, "utf-8")

    def svg(self) -> str:
        """The model drawn as SVG."""
        from rnnspec.plan import diagram

        return diagram.svg(diagram.diagram(self._plan))

    @property
    def _source(self) -> Path:
        return Path(self._folder.read_state()["source"])

    @property
    def _plan(self) -> Plan:
        from rnnspec.plan import resolve
        from rnnspec.spec.load import load_spec
        from rnnspec.store.folder import all_facts

        self._folder.check()
        return resolve(load_spec(self._folder.spec).spec, all_facts(self._folder))

    @cached_property
    def _read(self) -> Trained:
        from rnnspec.store.folder import read_build

        return read_build(self._folder, self._which)

    def _current(self) -> Trained:
        """The build with the weights of `module`, where that was asked for."""
        if "module" not in self.__dict__:
            return self._read
        return replace(self._read, weights=self.module.model.canonical_arrays())

    def _answering(self, strategy: str, generate: int | None) -> Any:
        """The model in onnxruntime, kept as long as the weights stay as they are."""
        from rnnspec.export.file import answering
        from rnnspec.files import digest

        trained = self._current()
        key = (strategy, generate, digest(*(a.tobytes() for a in trained.weights.values())))
        if self.__dict__.get("_answers", (None,))[0] != key:
            self.__dict__["_answers"] = (key, answering(trained, strategy, generate))
        return self.__dict__["_answers"][1]

    def __repr__(self) -> str:
        metrics = self.metrics
        shown = ", ".join(
            f"{name} {value:.4g}" for name, value in metrics.items() if name != "loss"
        )
        best = f", best epoch {self.best_epoch}" if metrics else ""
        return f"<build {self.path}, {self.state}{': ' if shown else ''}{shown}{best}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{value:.4g}</td></tr>"
            for name, value in self.metrics.items()
        )
        best = f", best epoch {self.best_epoch}" if rows else ""
        head = f"<p><b>{escape(str(self.path))}</b>, {self.state}{best}</p>"
        return f"{head}<table>{rows}</table>{self.svg()}"
