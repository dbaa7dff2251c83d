"""Text corpora on the Hugging Face hub: WikiText, small and large."""

from __future__ import annotations

from functools import partial
from typing import Any

from smalti.datasets.card import DatasetCard
from smalti.datasets.fetchers import Fetcher, check_options

_REPOSITORY = "Salesforce/wikitext"
_SPLITS = ("train", "validation", "test")


def _fetch(config: str, split: str | None = None, refresh: bool = False, **options: Any) -> Any:
    """Return the rows of one split, or of every split by name, from the hub or from what was fetched before."""
    from smalti.datasets.hub import fetch_hub_dataset

    if refresh:
        options["refresh"] = True
    wanted = _SPLITS if split is None else (split,)
    check_options(config, fetch_hub_dataset, _REPOSITORY, config, split, **options)
    found = {each: fetch_hub_dataset(_REPOSITORY, config, each, **options) for each in wanted}
    return found if split is None else found[split]


def _wikitext(name: str, config: str, rows: str) -> Fetcher:
    card = DatasetCard(
        name=name,
        title=f"Good and featured articles of the English Wikipedia, {rows}, one paragraph in each row",
        source=f"https://huggingface.co/datasets/{_REPOSITORY}, {config}",
        version=f"{config}, as the hub has it when it is fetched",
        licence="CC BY-SA 3.0 and GFDL",
        processing=("tokenized by its authors into words separated by blanks", "rare words are kept, unlike in -v1"),
        usage=f"fetch_dataset({name!r}, split='train')",
        quality=("Numbers and hyphens are split by @-@, @,@ and @.@.", "About a third of the rows are empty."),
        citation="S. Merity, C. Xiong, J. Bradbury, R. Socher, Pointer Sentinel Mixture Models, arXiv:1609.07843",
    )
    return Fetcher(name, partial(_fetch, config), card)


CORPORA = (
    _wikitext("wikitext-2", "wikitext-2-raw-v1", "about 2 million words"),
    _wikitext("wikitext-103", "wikitext-103-raw-v1", "about 103 million words"),
)
