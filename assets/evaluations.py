"""Evaluations of trained tables: cross-validation, beside linear models on the same folds."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
from pydantic import Field

from assets.automation import on_new_content
from assets.code_versions import code_version
from assets.outputs import shown_dataset
from assets.partitions import TRAINING_TABLES
from assets.previews import measured, numbers_of, records
from assets.tables import OF_THE_SAME_TABLE
from resources import COMPUTE_POOL, Compute, StoreResource
from resources.run_config import StepConfig
from smalti import Ref
from smalti.errors import Refused
from smalti.tabular.evaluate.cross_validation import BERT, CrossValidation
from smalti.tabular.report.outputs import cross_validation_part


class CrossValidationConfig(StepConfig, step="cross_validation"):
    """How often a table is trained on."""

    folds: int = Field(
        5, ge=2, description="Parts of the rows, each predicted by a network that is trained on the others."
    )
    most_rows: int = Field(
        5000, ge=0, description="A table of more rows is not cross-validated: its validation rows are enough."
    )


@dg.asset(
    partitions_def=TRAINING_TABLES,
    ins={"table": OF_THE_SAME_TABLE},
    group_name="tables",
    kinds={"mlx"},
    pool=COMPUTE_POOL,
    code_version=code_version("smalti.tabular", "smalti.models", "smalti.training"),
    automation_condition=on_new_content("bert_checkpoint"),
    description="What training with the settings of the checkpoint reaches on rows that it has not seen: on a small "
    "table the few validation rows of one split do not tell. A large table has none.",
    output_required=False,
)
def cross_validation(
    context: dg.AssetExecutionContext,
    config: CrossValidationConfig,
    store: StoreResource,
    compute: Compute,
    table: Ref,
    text_split: Ref,
    bert_checkpoint: Ref,
) -> Iterator[dg.Output[Ref]]:
    values = store.open()
    rows = values.open(table).num_rows
    if rows > config.most_rows:
        context.log.info(f"{rows} rows are enough to tell without cross-validation, which is for {config.most_rows}")
        return
    settings = values.open(bert_checkpoint).attrs["config"]["table"]["settings"]
    request = {"table": table.digest, "split": text_split.digest, "folds": config.folds, "settings": settings}
    try:
        answer = compute.run(context.log, "smalti.tabular.stored:cross_validate_stored", **request)
    except Refused as error:
        context.log.warning(str(error))
        return
    found = CrossValidation.from_stored(values.get(answer["digest"]))
    summary = found.summary()
    metadata = {
        found.main_metric: measured(summary[BERT]["mean"]),
        f"{found.main_metric}_sd": measured(summary[BERT]["sd"]),
        "verdict": answer["verdict"],
        "models": records([{"model": name, **scores} for name, scores in summary.items()]),
        "folds": records([numbers_of(row) | {"model": row["model"]} for row in found.scores.to_dict("records")]),
    }
    part = cross_validation_part(found, answer["digest"], {"bert_checkpoint": bert_checkpoint.digest})
    metadata |= shown_dataset(context, part)
    yield dg.Output(replace(values.ref(answer["digest"]), new_bytes=answer["new_bytes"]), metadata=metadata)
