"""Evaluations of trained tables: cross-validation, beside linear models on the same folds."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg

from assets.previews import numbers_of, records
from assets.raw import DATASETS
from resources import Compute, StoreResource
from smalti import Ref
from smalti.errors import Refused
from smalti.tabular.evaluate.cross_validation import BERT, CrossValidation


class CrossValidationConfig(dg.Config):
    """Attributes:
    folds: parts of the rows, each predicted by a network that is trained on the others.
    most_rows: a table of more rows is not cross-validated: its validation rows are enough.
    """

    folds: int = 5
    most_rows: int = 5000


@dg.asset(
    partitions_def=DATASETS,
    group_name="tables",
    kinds={"mlx"},
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
        found.main_metric: summary[BERT]["mean"],
        f"{found.main_metric}_sd": summary[BERT]["sd"],
        "verdict": answer["verdict"],
        "models": records([{"model": name, **scores} for name, scores in summary.items()]),
        "folds": records([numbers_of(row) | {"model": row["model"]} for row in found.scores.to_dict("records")]),
    }
    yield dg.Output(replace(values.ref(answer["digest"]), new_bytes=answer["new_bytes"]), metadata=metadata)
