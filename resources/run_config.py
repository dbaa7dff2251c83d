"""Configs that are validated as soon as a run starts, before any of its steps: nothing is trained in vain."""

from collections.abc import Mapping
from typing import Any, ClassVar

import dagster as dg
from pydantic import ValidationError

from smalti.errors import Refused


class StepConfig(dg.Config):
    """The config of one step. What Dagster's types cannot say (ranges, one field against another) pydantic validates.

    Dagster validates types and enums when a run is launched, but pydantic's rules only when the step starts, which may
    be after hours of other steps. A subclass names its step, ``class MyConfig(StepConfig, step="my_asset")``, and
    :func:`validate_run_config` finds it.
    """

    _of_step: ClassVar[dict[str, type["StepConfig"]]] = {}

    def __init_subclass__(cls, step: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if step:
            cls._of_step[step] = cls


def validate_run_config(run_config: Mapping[str, Any]) -> None:
    """Validate the config of every step of a run.

    Raises:
        Refused: a value out of its range; the sentence names step, field, value and what is allowed.
    """
    for step, given in run_config.get("ops", {}).items():
        if model := StepConfig._of_step.get(step):
            try:
                model(**given.get("config", {}))
            except ValidationError as error:
                raise Refused("; ".join(_sentences(step, error))) from error


def _sentences(step: str, error: ValidationError) -> list[str]:
    sentences = []
    for wrong in error.errors():
        field = ".".join(str(part) for part in wrong["loc"])
        cause = wrong.get("ctx", {}).get("error")
        said = str(cause or wrong["msg"]).rstrip(".")
        of = f"{field} = {wrong['input']!r}: " if field else ""
        sentences.append(f"the config of {step}: {of}{said}; correct it in the launchpad.")
    return sentences
