"""What a stored value looks like: pictures, curves, first rows, texts; of a huge one no more is read than is shown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.notebook import pictures
from smalti.notebook.pictures import sampled
from smalti.outputs.page import block, more, picture, short, shown_json, size, table, text
from smalti.outputs.page import pictures as arranged
from smalti.outputs.quantities import scale
from smalti.provenance.facts import attributes_of, described
from smalti.provenance.report.drawing import curves_svg, path_svg
from smalti.provenance.report.tables import table_preview

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smalti.store import Record, Store

_MOST_PICTURES = 16
_MOST_PICTURES_NBYTES = 2_500_000
_MOST_TEXT_NBYTES = 256 * 1024  # of a document or bytes that are shown as text
_MOST_LISTED = 40
_DEEPEST = 3
_LONGEST_LIST = 24
_PATHS = (("xcoords", "ycoords"), ("probe_position_x_m", "probe_position_y_m"))
_PICTURE_PX = 300
_MOST_PHASE = 1.5 * math.pi  # beyond which a phase turns around, and its colours with it
_TEXTS = {"json", "bytes"}


class Previews:
    """The previews of one page, which together stay small enough to be mailed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pictures = 0
        self._nbytes = 0

    def of(self, address: str) -> list[str]:
        """Return pieces of HTML that show a value; of one that cannot be read, why."""
        try:
            return list(self._of(self._store.record(address), "", 0))
        except (NotFound, Damaged, Unavailable, Refused) as error:
            return [f'<p class="bad">{text(error)}</p>']

    def _of(self, record: Record, name: str, depth: int) -> Iterator[str]:
        kind = record.kind
        if kind == "array":
            yield arranged(self._array(record, name))
        elif kind == "table":
            yield from table_preview(self._store.open(record.address))
        elif kind == "weights":
            yield _weights(record)
        elif kind in _TEXTS:
            yield self._text(record)
        elif kind == "tree":
            yield from self._tree(record, depth)

    def _tree(self, record: Record, depth: int) -> Iterator[str]:
        attrs, children = attributes_of(record), record.children
        if record.header.get("type") == "folder":
            yield self._listed(record)
            return
        figures: list[str] = []
        drawn: set[str] = set()
        for x, y in _PATHS:
            if x in children and y in children:
                figures += self._path(children[x], children[y])
                drawn |= {x, y}
        listed: list[tuple[str, ...]] = []
        nested: list[str] = []
        for name, address in list(children.items())[:_MOST_LISTED]:
            child = self._store.record(address)
            if child.kind == "array" and name not in drawn:
                figures += self._array(child, name)
            elif child.kind != "array" and depth < _DEEPEST:
                pieces = list(self._of(child, name, depth + 1))
                nested += [f"<h3>{text(name, 200)}</h3>", *pieces] if any(pieces) else []
        for name, address in list(children.items())[:_MOST_LISTED]:
            child = self._store.record(address)
            listed.append((f"<b>{text(name, 200)}</b>", text(described(child)), size(child.nbytes), short(address)))
        yield arranged(figures)
        yield from _of_attributes(attrs)
        yield from nested
        yield table(("part", "what", "size", "digest"), listed)
        yield more(len(children) - _MOST_LISTED, "parts")

    def _array(self, record: Record, name: str) -> list[str]:
        if not self._has_room():
            return []
        import numpy as np

        array = self._store.open(record.address)
        shape = (array.bits if hasattr(array, "bits") else array).shape
        if not shape:
            return [f"<p>{text(name)} {text(np.asarray(array)[()])}</p>"]
        sample = sampled(array)
        if sample is None:
            return [f'<p class="soft">{text(name)} is not drawn here.</p>'] if 0 not in shape and len(shape) > 1 else []
        if sample.ndim == 1:
            return self._curve(sample, shape[0], name)
        of = f", one of {shape[0]:,}" if len(shape) > sample.ndim and shape[0] > 1 else ""
        return self._image(sample, f"{name or 'values'}{of}")

    def _curve(self, sample: NDArray[Any], length: int, name: str) -> list[str]:
        import numpy as np

        values = pictures.amplitude(sample)
        if len(values) < 2:
            return []
        with np.errstate(all="ignore"):
            even = values[0] + np.arange(len(values)) * np.diff(values[:2])
        if np.array_equal(values, even):
            return []  # numbers at even distances, such as those of epochs, show nothing
        called = name or "value by number"
        if len(values) < length:
            called += f" ({len(values):,} of {length:,} values)"
        drawn = curves_svg({called: values.tolist()})
        return [drawn] if drawn else []

    def _image(self, sample: NDArray[Any], label: str) -> list[str]:
        import numpy as np

        if sample.ndim == 3:
            return self._pictured(label, sample)
        if sample.dtype.kind != "c":
            return self._scaled(label, sample)
        phase = np.angle(sample)
        low, high = pictures.limits_of(phase)
        amplitude = self._scaled(f"{label}, amplitude", np.abs(sample))
        if high - low > _MOST_PHASE:
            return [*amplitude, *self._pictured(f"{label}, phase: -pi to pi", phase, (-math.pi, math.pi), "cyclic")]
        return [*amplitude, *self._scaled(f"{label}, phase in rad", phase)]

    def _scaled(self, label: str, plane: NDArray[np.float64]) -> list[str]:
        logarithmic = pictures.is_peaked(plane)
        limits = pictures.limits_of(plane, logarithmic)
        return self._pictured(f"{label}: {scale(*limits, logarithmic)}", plane, limits, logarithmic=logarithmic)

    def _path(self, x: str, y: str) -> list[str]:
        xs, ys = self._store.open(x), self._store.open(y)
        if len(getattr(xs, "shape", ())) != 1 or getattr(xs, "shape", None) != getattr(ys, "shape", None):
            return []
        places = sampled(xs), sampled(ys)
        if places[0] is None or places[1] is None:
            return []
        drawn = path_svg(places[0].real, places[1].real, f"scan path, {len(xs):,} positions")
        return [drawn] if drawn else []

    def _text(self, record: Record) -> str:
        if record.nbytes > _MOST_TEXT_NBYTES:
            return ""
        value = self._store.open(record.address)
        if record.kind == "json":
            if isinstance(value, list) and (drawn := _curve_of("values", value)):
                return drawn
            return block(json.dumps(value, indent=2, ensure_ascii=False))
        try:
            written = bytes(value).decode()
        except UnicodeDecodeError:
            return ""
        return block(written) if written and "\0" not in written else ""

    def _listed(self, record: Record) -> str:
        rows = []
        for name, address in list(record.children.items())[:_MOST_LISTED]:
            child = self._store.record(address)
            rows.append((text(name, 200), size(child.nbytes), short(address)))
        return table(("name", "size", "digest"), rows) + more(len(record.children) - len(rows), "entries")

    def _has_room(self) -> bool:
        return self._pictures < _MOST_PICTURES and self._nbytes < _MOST_PICTURES_NBYTES

    def _pictured(
        self,
        caption: str,
        plane: NDArray[Any],
        limits: pictures.Limits | None = None,
        palette: pictures.Palette = "sequential",
        logarithmic: bool = False,
    ) -> list[str]:
        if not self._has_room():
            return []
        png = pictures.image(plane, limits, palette, _PICTURE_PX, logarithmic)
        self._pictures += 1
        self._nbytes += len(png)
        return [picture(png, caption)]


def curves_of(said: Mapping[str, Any]) -> list[str]:
    """Return curves of what is a list of numbers among some fields, such as a loss by epoch."""
    drawn = []
    for name, value in said.items():
        if isinstance(value, list) and (curve := _curve_of(name, value)):
            drawn.append(curve)
    return drawn


def _curve_of(name: str, value: list[Any]) -> str:
    """Return the curves of a list of numbers, or of a list of mappings that hold numbers; "" of another list."""
    if len(value) < 2:
        return ""
    if all(_is_number(one) for one in value):
        return curves_svg({name: [float(one) for one in value]}, first=1)
    if all(isinstance(one, dict) for one in value):
        keys = [key for key in value[0] if all(_is_number(one.get(key)) for one in value)]
        shown = [key for key in keys if key not in ("epoch", "step")][:4]
        return "".join(curves_svg({f"{name}: {key}": [float(one[key]) for one in value]}, first=1) for key in shown)
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_attributes(attrs: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the attributes of a tree say: curves of histories, and all of it as a table."""
    inner = {
        f"{name}.{key}": one for name, value in attrs.items() if isinstance(value, dict) for key, one in value.items()
    }
    drawn = curves_of({**attrs, **inner})
    yield arranged(drawn)
    rows = [(text(name, 200), shown_json(_without_long_lists(value))) for name, value in attrs.items()]
    yield table(("attribute", "value"), rows)


def _without_long_lists(value: Any) -> Any:
    """Return JSON with long lists cut, since curves show them better."""
    if isinstance(value, dict):
        return {key: _without_long_lists(one) for key, one in value.items()}
    if isinstance(value, list):
        shown = value if len(value) <= _LONGEST_LIST else value[: _LONGEST_LIST // 2]
        left = [f"… {len(value) - len(shown)} more"] if len(shown) < len(value) else []
        return [*map(_without_long_lists, shown), *left]
    return value


def _weights(record: Record) -> str:
    """Return the tensors of a weights object, from its record alone."""
    tensors = record.header.get("tensors")
    if not isinstance(tensors, dict):
        return ""
    rows = []
    for name, said in list(tensors.items())[:_MOST_LISTED]:
        tensor = said if isinstance(said, dict) else {}
        rows.append((text(name, 200), text(tensor.get("dtype", "")), text(tensor.get("shape", ""))))
    return table(("tensor", "dtype", "shape"), rows) + more(len(tensors) - len(rows), "tensors")
