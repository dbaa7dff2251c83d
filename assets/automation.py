"""The automation condition of assets that follow from others: new content moves on, equal content stops."""

import dagster as dg


def on_new_content(*parents: str) -> dg.AutomationCondition:
    """Return the condition that an asset is made again when the content of one of these parents changed.

    It is asked for once: not again while it waits or is made, nor after it failed, until the content changes once more.
    A parent that the same run made before it asks for nothing.
    """
    condition = dg.AutomationCondition
    changed = condition.any_deps_match(condition.data_version_changed() | condition.will_be_requested())
    handled = condition.newly_updated() | condition.newly_requested() | condition.execution_failed().newly_true()
    return (
        changed.allow(dg.AssetSelection.assets(*parents)).since(handled)
        & ~condition.any_deps_missing()
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label(f"new content in {', '.join(parents)}")
