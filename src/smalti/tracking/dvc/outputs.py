"""The outputs that ``.dvc`` files and ``dvc.lock`` describe: where each lies, its MD5, and how that was computed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smalti.errors import Refused
from smalti.tracking.scan import check_name

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_MOST_NBYTES = 64 * 1024 * 1024
_DEEPEST = 64
_TRUE, _FALSE = ("true", "True"), ("false", "False")
_KEPT_BY_GIT = "git keeps it, not DVC's cache"


@dataclass(frozen=True, slots=True)
class Output:
    """A file or folder that DVC tracks.

    Attributes:
        path: where it lies in the repository, with ``/``.
        md5: 32 hexadecimal digits, of a folder those of its listing.
        is_folder: it is a folder.
        is_legacy: the MD5 is of DVC 2: of text, after its line ends were made those of Unix.
        executable: of a file, whether it may be executed.
        remote: the name of the remote that it was to be pushed to; "" for the default one.
        source: the file that describes it.
    """

    path: str
    md5: str
    is_folder: bool
    is_legacy: bool
    executable: bool
    remote: str
    source: str


@dataclass(frozen=True, slots=True)
class Uncached:
    """An output that DVC's cache does not keep, and why."""

    path: str
    why: str


def outputs_of(source: str, content: bytes, dvc_yaml: bytes | None = None) -> Iterator[Output | Uncached]:
    """Yield the outputs that a ``.dvc`` file or a ``dvc.lock`` describes.

    Args:
        source: its path in the repository, with ``/``.
        dvc_yaml: beside a ``dvc.lock``, the stages, which say what folder each works in.

    Raises:
        Refused: it is no such file, or describes something outside of the repository.
    """
    document = _mapping(load_yaml(content, source), source)
    if posixpath.basename(source) != "dvc.lock":
        yield from _outputs(document, source, _text(document, "wdir", source) or ".")
        return
    stages = _mapping(document.get("stages", {}) if "schema" in document else document, source)
    declared = _mapping(load_yaml(dvc_yaml, "dvc.yaml") or {}, source) if dvc_yaml else {}
    folders = _mapping(declared.get("stages") or {}, source)
    for name, stage in stages.items():
        # Of a stage that is made of a list, `train@3`, the declaration is called `train`.
        declaration = folders.get(name, folders.get(name.partition("@")[0], {}))
        declaration = declaration.get("do", declaration) if isinstance(declaration, dict) else {}
        folder = _text(_mapping(declaration, source), "wdir", source) or "."
        if "${" in folder:
            raise Refused(
                f"{source}: the stage {name!r} works in {folder!r}, which only DVC can fill in; write it out."
            )
        uncached = [_pattern(source, folder, name) for name in _uncached(declaration)]
        for one in _outputs(_mapping(stage, source), source, folder):
            kept_by_git = any(pattern.fullmatch(one.path) for pattern in uncached)
            yield Uncached(one.path, _KEPT_BY_GIT) if kept_by_git else one


def _uncached(declaration: Mapping[str, Any]) -> Iterator[str]:
    """Yield the outputs of a stage that are not cached, by the paths in its declaration; ``dvc.lock`` does not say."""
    for kind in ("outs", "metrics", "plots"):
        for item in declaration.get(kind) or ():
            for path, options in item.items() if isinstance(item, dict) else ():
                if isinstance(options, dict) and options.get("cache") in _FALSE:
                    yield path


def _pattern(source: str, folder: str, path: str) -> re.Pattern[str]:
    """Return what fits the paths that DVC makes of one with ``${...}`` in it."""
    whole = posixpath.normpath(posixpath.join(posixpath.dirname(source), folder, path))
    return re.compile(".*".join(map(re.escape, re.split(r"\$\{.*?\}", whole))))


def load_yaml(content: bytes, where: str) -> Any:
    """Return a YAML document in which every scalar is text; what only serves to mislead a reader is refused.

    Raises:
        Refused: it is too large or too deep, refers to parts of itself, or is no YAML.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    if len(content) > _MOST_NBYTES:
        raise Refused(f"{where} has {len(content)} bytes, more than any file of DVC's; it is not read.")
    depth = 0
    try:
        for event in yaml.parse(content, Loader=loader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise Refused(f"{where} refers to parts of itself (&, *), which DVC never writes; write them out.")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise Refused(f"{where} is nested more than {_DEEPEST} levels deep, which no file of DVC's is.")
        return yaml.load(content, Loader=loader)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"{where} is no YAML: {' '.join(str(error).split())}.") from error


def path_within(source: str, wdir: str, path: str) -> str:
    """Return where in the repository something lies that a file in it describes.

    Raises:
        Refused: outside, or nowhere that a file could be.
    """
    joined = posixpath.join(posixpath.dirname(source), wdir, path)
    whole = posixpath.normpath(joined)
    if posixpath.isabs(joined) or re.match(r"[A-Za-z]:|~", path) or whole.split("/")[0] in ("..", "."):
        raise Refused(f"{source} describes {path!r} (in {wdir!r}), which is not inside of its repository.")
    for part in whole.split("/"):
        check_name(part, source)
    return whole


def _outputs(holder: Mapping[str, Any], source: str, wdir: str) -> Iterator[Output | Uncached]:
    listed = holder.get("outs") or []
    if not isinstance(listed, list):
        raise Refused(f"{source}: outs is to be a list.")
    for item in listed:
        out = _mapping(item, source)
        path = _text(out, "path", source)
        if "://" in path:
            yield Uncached(path, "it lies outside of the repository")
            continue
        whole = path_within(source, wdir, path)
        if _text(out, "cache", source) in _FALSE:
            yield Uncached(whole, _KEPT_BY_GIT)
            continue
        md5 = _text(out, "md5", source)
        if not md5:
            yield Uncached(whole, "DVC's cache has no MD5 of it: run dvc commit, or dvc repro, there")
            continue
        check_md5(md5, source)
        yield Output(
            path=whole,
            md5=md5.removesuffix(".dir"),
            is_folder=md5.endswith(".dir"),
            is_legacy=_text(out, "hash", source) != "md5",
            executable=_text(out, "isexec", source) in _TRUE,
            remote=_text(out, "remote", source),
            source=source,
        )


def check_md5(text: str, where: str) -> None:
    """Make sure that a text is an MD5 as DVC writes one.

    Raises:
        Refused: it is not.
    """
    if not _MD5.fullmatch(text):
        raise Refused(f"{where} gives {text[:80]!r} where an MD5 of 32 hexadecimal digits is wanted.")


def _mapping(value: Any, source: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Refused(f"{source} is no file of DVC's: it holds a {type(value).__name__} where a mapping is wanted.")
    return value


def _text(holder: Mapping[str, Any], name: str, source: str) -> str:
    value = holder.get(name, "")
    if not isinstance(value, str):
        raise Refused(f"{source}: {name} is to be text, but is a {type(value).__name__}.")
    return value
