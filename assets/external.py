"""Datasets of others: fetched from where they come from, with source, version and licence."""

import dagster as dg

from resources import StoreResource
from smalti import Ref
from smalti.datasets.refreshing import refresh
from smalti.errors import Unavailable

EXTERNAL = dg.DynamicPartitionsDefinition(name="external")
_RETRIES, _RETRY_AFTER_SECONDS = 2, 120.0


@dg.asset(
    partitions_def=EXTERNAL,
    group_name="external",
    kinds={"smalti"},
    description="A dataset of others, as its source has it now, with its card; one partition for each that can be "
    "fetched: those that come with smalti, and those that files in data/datasets register. It is stored as "
    "`dataset/<name>` too, as `smalti datasets fetch` does. Equal content is the same data version, so that nothing "
    "downstream is made again.",
)
def external_dataset(context: dg.AssetExecutionContext, store: StoreResource) -> dg.Output[Ref]:
    try:
        fetched = refresh(store.open(), context.partition_key)
    except Unavailable as error:  # the network: it may pass, and all else will not
        raise dg.RetryRequested(_RETRIES, _RETRY_AFTER_SECONDS) from error
    card = fetched.card
    context.log.info(f"{card.name} has {'changed' if fetched.changed else 'not changed'} at its source")
    return dg.Output(
        fetched.ref,
        metadata={
            "title": card.title,
            "source": card.source,
            "version": card.version,
            "licence": card.licence,
            "changed": fetched.changed,
            **({"citation": card.citation} if card.citation else {}),
        },
    )
