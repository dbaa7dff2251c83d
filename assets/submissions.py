"""Submissions: what a trained table predicts of its test table, in Kaggle's format, and how good that is."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg

from assets.automation import on_new_content
from assets.code_versions import code_version
from assets.outputs import shown_dataset
from assets.partitions import TRAINING_TABLES
from assets.previews import numbers_of, picture, records
from assets.tables import OF_THE_SAME_TABLE, column_lineage, test_of
from resources import COMPUTE_POOL, Compute, StoreResource
from resources.made_from import also_read
from smalti import Ref
from smalti.tabular.evaluate.evaluation import Evaluation
from smalti.tabular.predictions import Predictions
from smalti.tabular.report.card import Provenance
from smalti.tabular.report.outputs import submission_part
from smalti.tabular.report.thumbnails import evaluation_thumbnail
from smalti.tabular.split import ROW, TextSplit
from smalti.tabular.submission import submission as submitted

_ROWS_SHOWN = 10


@dg.asset(
    partitions_def=TRAINING_TABLES,
    ins={"raw_table": OF_THE_SAME_TABLE},
    group_name="tables",
    kinds={"mlx"},
    pool=COMPUTE_POOL,
    code_version=code_version("smalti.tabular", "smalti.models"),
    automation_condition=on_new_content("bert_checkpoint"),
    description="The rows of the test table predicted: `outputs/<dataset>/submission.csv`, with figures, pictures and "
    "the model card beside it. A table whose test table has not arrived has those alone, and no submission.",
    output_required=False,
)
def submission(
    context: dg.AssetExecutionContext,
    store: StoreResource,
    compute: Compute,
    raw_table: Ref,
    text_split: Ref,
    bert_checkpoint: Ref,
) -> Iterator[dg.Output[Ref]]:
    values, key = store.open(), context.partition_key
    digests = {"checkpoint": bert_checkpoint.digest, "split": text_split.digest}
    evaluated = compute.run(context.log, "smalti.tabular.stored:evaluate_stored", **digests)
    test, predicted = test_of(context.instance, key), None
    if test:
        digests["test_table"] = values.ref(f"table/{test}").digest
        also_read(context, {f"table/{test}": digests["test_table"]})
        request = {"checkpoint": bert_checkpoint.digest, "table": digests["test_table"]}
        predicted = compute.run(context.log, "smalti.tabular.stored:predict_stored", **request)
    evaluation = Evaluation.from_stored(values.get(evaluated["digest"]))
    predictions = Predictions.from_stored(values.get(predicted["digest"])) if predicted else None
    card = values.open(raw_table.digest).attrs["card"]
    split, checkpoint = TextSplit.from_stored(values.get(text_split)), values.get(bert_checkpoint)
    provenance = Provenance(
        key, card.get("source", ""), card.get("licence", ""), {"raw_table": raw_table.digest, **digests}
    )
    digest = predicted["digest"] if predicted else evaluated["digest"]
    part = submission_part(
        split, checkpoint, evaluation, provenance, predictions, digest, {"bert_checkpoint": bert_checkpoint.digest}
    )
    outputs = shown_dataset(context, part)
    if predicted is None or predictions is None:
        context.log.warning(
            f"no test table of {key} has arrived, so there is nothing to submit; drop it into data/raw."
        )
        return
    table = submitted(predictions)
    rows, (id_column, predicted_column) = table.head(_ROWS_SHOWN).to_dict("records"), table.columns
    read: Any = split.template["columns"]
    made_from = {
        id_column: [id_column] if id_column != ROW else [],
        predicted_column: [column["column"] for column in read],
    }
    metadata = {
        **numbers_of(evaluation.metrics),
        "dagster/row_count": len(predictions),
        "dagster/column_schema": dg.TableSchema([dg.TableColumn(name, str(of)) for name, of in table.dtypes.items()]),
        "dagster/column_lineage": column_lineage("table", made_from),
        "verdict": evaluated["verdict"],
        "evaluation": picture(evaluation_thumbnail(evaluation), "of the validation rows"),
        "models": records([{"model": name, **of} for name, of in _models(evaluation).items()]),
        "preview": records(rows),
        **outputs,
    }
    ref = replace(values.ref(predicted["digest"]), new_bytes=evaluated["new_bytes"] + predicted["new_bytes"])
    yield dg.Output(ref, metadata=metadata)


def _models(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    return {"BERT": evaluation.metrics, **evaluation.baselines}
