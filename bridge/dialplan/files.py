"""The files of a dialplan: a file or a folder, what they include, and the overlay of an environment.

    path ──► its files ──include──► all files ──overlays/ENVIRONMENT.yaml──► documents ──${vars}──► documents

Included files come before the one that includes them, each file once, and only from the plan's own folder tree. What
an overlay says replaces what the plan says (bridge/dialplan/overlay.py). Every value keeps the place where it is
written. Reads files, writes none. Not worker-safe. Called by bridge/dialplan/reading.py; any thread.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from bridge import yamlfile
from bridge.dialplan.overlay import laid_over
from bridge.dialplan.schema_book import MAX_INCLUDE_CHARS
from bridge.dialplan.textvars import Expander
from bridge.errors import DialplanError, Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import YamlFile

MAX_FILES = 1000
MAX_DEPTH = 8
SUFFIXES = frozenset({".yaml", ".yml"})
CASES_SUFFIX = (".test.yaml", ".test.yml")
"""Tests of a plan (bridge/dialplan/cases.py) lie beside it and are no part of it."""
OVERLAYS = "overlays"


class Documents:
    """All documents of the plan at `path` for one environment, as far as they can be read, and what is wrong.

    `whole`: every file could be read. `order`: the number of each file in the order of reading, by its name.
    `root`: the plan's folder.
    """

    def __init__(
        self, path: Path, environment: str | None = None, instead: Mapping[Path, str] | None = None
    ) -> None:
        self._instead = {file.resolve(): text for file, text in (instead or {}).items()}
        self.documents: list[tuple[YamlFile, Path]] = []
        self.problems: list[Problem] = []
        self.whole = True
        self.order: dict[str, int] = {}
        self.root = path if path.is_dir() else path.parent
        self._inside = self.root.resolve()
        self._done: set[Path] = set()
        for file in _top_files(path):
            self._read(file, ())
        if environment:
            self._lay_over(environment)
        self._expand()

    def _read(self, file: Path, stack: tuple[Path, ...]) -> None:
        """`stack`: the files that are being read, the outermost first."""
        real = file.resolve()
        if real in self._done:
            return
        self._done.add(real)
        document = self._parsed(file)
        if document is None:
            return
        for number, text in enumerate(_includes(document)):
            for found in self._included(document, number, text, file.parent):
                if found.resolve() in (*stack, real):
                    chain = " includes ".join(one.name for one in (*stack, real, found))
                    self._tell(
                        document, number, f"this goes round in a circle: {chain}", "remove one of them"
                    )
                elif len(stack) + 1 >= MAX_DEPTH:
                    self._tell(
                        document,
                        number,
                        f"more than {MAX_DEPTH} files deep",
                        "include it from the first file",
                    )
                elif len(self._done) >= MAX_FILES:
                    self._tell(
                        document, number, f"more than {MAX_FILES} files", "put more routes into one file"
                    )
                    return
                else:
                    self._read(found, (*stack, real))
        self.order[document.name] = len(self.order)
        self.documents.append((document, file.absolute().parent))

    def _parsed(self, file: Path) -> YamlFile | None:
        text = self._instead.get(file.resolve())
        try:
            if text is not None:
                return yamlfile.parse(str(file), text.encode(), DialplanError)
            return yamlfile.read(file, DialplanError)
        except DialplanError as error:
            self.problems += error.problems
            self.whole = False
            return None

    def _tell(self, document: YamlFile, number: int, message: str, hint: str) -> None:
        self.problems.append(document.problem(("include", number), message, hint))

    def _included(self, document: YamlFile, number: int, text: str, folder: Path) -> Iterator[Path]:
        """The files that an entry of `include` names, in the order of their names."""
        if Path(text).is_absolute() or ".." in Path(text).parts:
            self._tell(
                document,
                number,
                f"{text} leaves the plan's folder",
                "only files in it, or below",
            )
            return
        pattern = any(char in text for char in "*?[")
        try:
            found = sorted(islice(folder.glob(text), MAX_FILES + 1)) if pattern else [folder / text]
            found = [one for one in found if not (pattern and one.name.endswith(CASES_SUFFIX))]
        except (ValueError, OSError, IndexError) as error:  # such as "**x", which glob refuses
            self._tell(
                document, number, f"{text} is no pattern of files: {error}", "for example parts/*.yaml"
            )
            return
        if pattern and not found:
            self._tell(document, number, f"no file fits {text}", f"it is looked for in {folder}")
        for file in found:
            try:
                wrong = self._why_not(file)
            except OSError as error:  # a loop of links, a folder that is not ours to read
                wrong = f"{file.name} cannot be read: {error.strerror}", "check the path and its permissions"
            if not wrong:
                yield file
            elif not (pattern and file.is_dir()):
                self._tell(document, number, *wrong)

    def _why_not(self, file: Path) -> tuple[str, str] | None:
        if not file.resolve().is_relative_to(self._inside):
            return f"{file.name} is a link out of the plan's folder", "copy the file"
        if file.is_dir():
            return f"{file.name} is a folder", f"{file.name}/*.yaml includes its files"
        if not file.exists():
            there = [one.name for one in file.parent.glob("*.y*ml")] if file.parent.is_dir() else []
            return f"there is no file {file.name}", nearest(
                file.name, there
            ) or f"it is looked for in {file.parent}"
        if file.suffix not in SUFFIXES:
            return f"{file.name} is no YAML file by its name", "name it *.yaml"
        return None

    def _lay_over(self, environment: str) -> None:
        folder = self.root / OVERLAYS
        if not folder.is_dir():
            return
        there = {one.stem: one for one in sorted(folder.iterdir()) if one.suffix in SUFFIXES}
        if environment not in there:
            message = f"there is no overlay for the environment {environment}"
            self.problems.append(Problem(str(folder), 0, 0, "", message, nearest(environment, there)))
            return
        overlay = self._parsed(there[environment])
        if overlay is None:
            return
        plain = [document for document, _ in self.documents]
        changed, rest, problems = laid_over(plain, overlay)
        folders = [folder for _, folder in self.documents]
        self.documents = [*zip(changed, folders, strict=True), (rest, self.root.absolute())]
        self.order[overlay.name] = len(self.order)
        self.problems += problems

    def _expand(self) -> None:
        expander = Expander([document for document, _ in self.documents], whole=self.whole)
        self.documents = [(expander.expanded(document), folder) for document, folder in self.documents]
        self.problems += expander.problems


def is_plan(file: Path) -> bool:
    """Whether a file of a folder is part of the plan there."""
    return file.suffix in SUFFIXES and file.name[0] != "." and not file.name.endswith(CASES_SUFFIX)


def _includes(document: YamlFile) -> list[str]:
    """Entries of `include`, if they are such as the schema wants them; else it tells."""
    entries = document.data.get("include") if isinstance(document.data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(one, str) for one in entries):
        return []
    return entries if all(0 < len(one) <= MAX_INCLUDE_CHARS for one in entries) else []


def _top_files(path: Path) -> list[Path]:
    if not path.exists():
        raise DialplanError(
            [Problem(str(path), 0, 0, "", "there is no such file or folder", "set `dialplans`")]
        )
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if is_plan(one))
    if not found:
        raise DialplanError(
            [Problem(str(path), 0, 0, "", "no *.yaml file in this folder", "set `dialplans`")]
        )
    return found
