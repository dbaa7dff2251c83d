"""The console log of a run: when, which step, what; Dagster's own bookkeeping stays in the UI."""

import logging
import sys

import dagster as dg


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", {})
        step = (meta.get("step_key") or meta.get("job_name") or "").rsplit(".", 1)[0]
        message = meta.get("orig_message") or record.getMessage()
        return f"{self.formatTime(record, '%H:%M:%S')}  {step:18}  {message}"


@dg.logger(description="One line per message that a person would read.")
def console(init_context: dg.InitLoggerContext) -> logging.Logger:  # noqa: ARG001 (Dagster passes it)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_OneLine())
    logger = logging.Logger("smalti.run", level=logging.INFO)
    logger.addHandler(handler)
    return logger
