"""The automation condition of assets that follow from others: new content moves on, equal content stops."""

import dagster as dg


def on_new_content(*parents: str) -> dg.AutomationCondition:
    """Return the condition that an asset is made again when the content of one of these parents changed.

    It is asked for once: not again while it waits or is made, nor after it failed, until the content changes once more.
    A parent that the same run made before it asks for nothing.

    It is asked for at the second look that finds it so. One look reads the events first and the runs later: a run that
    ends in between has made the parent, not yet the asset, and does not go on any more.
    """
    condition = dg.AutomationCondition
    of_parents = dg.AssetSelection.assets(*parents)
    handled = condition.newly_updated() | condition.newly_requested() | condition.execution_failed().newly_true()
    changed = condition.any_deps_match(condition.data_version_changed()).allow(of_parents).since(handled)
    follows = condition.any_deps_match(condition.will_be_requested()).allow(of_parents)  # in the same run
    return (
        ((changed & ~changed.newly_true()) | follows)
        & ~condition.any_deps_missing()
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label(f"new content in {', '.join(parents)}")
