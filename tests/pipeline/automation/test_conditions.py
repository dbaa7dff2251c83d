"""Laws of the automation condition: new content moves on once, equal content stops, a failure waits for new content."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.automation import on_new_content
from resources import StoreIOManager, StoreResource

KEYS = dg.DynamicPartitionsDefinition(name="key")
CONTENT: dict[str, int] = {}
BROKEN: set[str] = set()


@dg.asset(partitions_def=KEYS)
def source(context: dg.AssetExecutionContext) -> int:
    return CONTENT[context.partition_key]


@dg.asset(partitions_def=KEYS, automation_condition=on_new_content("source"))
def follower(context: dg.AssetExecutionContext, source: int) -> int:
    if context.partition_key in BROKEN:
        raise RuntimeError("it breaks")
    return source // 10


@dg.asset(partitions_def=KEYS, automation_condition=on_new_content("follower"))
def last(follower: int) -> int:
    return follower


class Automation:
    """The conditions evaluated in turn, as the daemon does."""

    def __init__(self, instance: dg.DagsterInstance, resources: dict[str, Any]) -> None:
        self.instance, self.resources = instance, resources
        self.defs = dg.Definitions([source, follower, last], resources=resources)
        self.cursor: Any = None

    def asks(self) -> set[tuple[str, str]]:
        """Evaluate twice; return what is asked for, as (asset, partition)."""
        return self.asks_at_once() | self.asks_at_once()

    def asks_at_once(self) -> set[tuple[str, str]]:
        """Evaluate once; return what is asked for."""
        result = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        names = ("follower", "last")
        return {(name, str(key)) for name in names for key in result.get_requested_partitions(dg.AssetKey(name))}

    def make(self, key: str, *names: str) -> bool:
        """Make these assets in one run."""
        run = dg.materialize(
            [source, follower, last],
            selection=list(names),
            partition_key=key,
            instance=self.instance,
            resources=self.resources,
            raise_on_error=False,
        )
        return run.success


@pytest.fixture
def automation(tmp_path: Path) -> Iterator[Automation]:
    CONTENT.clear()
    BROKEN.clear()
    store = StoreResource(place=str(tmp_path / "store"))
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("key", ["a", "b"])
        CONTENT.update(a=10, b=20)
        made = Automation(instance, {"io_manager": StoreIOManager(store=store), "store": store})
        for key in "ab":
            assert made.make(key, "source", "follower", "last")
        made.asks()
        assert made.asks() == set()
        yield made


def test_new_content_asks_for_what_follows_in_one_run_and_only_once(automation: Automation) -> None:
    CONTENT["a"] = 30
    automation.make("a", "source")
    assert automation.asks() == {("follower", "a"), ("last", "a")}
    assert automation.asks() == set(), "it was asked for"


def test_equal_content_asks_for_nothing(automation: Automation) -> None:
    automation.make("a", "source")
    assert automation.asks() == set()


def test_what_one_run_made_from_top_to_bottom_asks_for_nothing(automation: Automation) -> None:
    CONTENT["a"] = 30
    automation.make("a", "source", "follower", "last")
    assert automation.asks() == set()


def test_a_run_that_ends_while_the_conditions_are_evaluated_is_not_taken_for_one_that_left_something_out(
    automation: Automation,
) -> None:
    CONTENT["a"] = 30
    automation.make("a", "source")
    assert automation.asks_at_once() == set(), "the events of this look may be older than what it knows of runs"
    automation.make("a", "follower", "last")
    assert automation.asks() == set()


def test_where_the_content_comes_out_equal_the_wave_stops(automation: Automation) -> None:
    CONTENT["a"] = 11  # the follower rounds it to what it was
    automation.make("a", "source")
    automation.asks()
    automation.make("a", "follower")
    assert automation.asks() == set()


def test_a_failure_is_asked_for_again_when_the_content_changes_and_not_before(automation: Automation) -> None:
    CONTENT["a"] = 30
    BROKEN.add("a")
    assert not automation.make("a", "source", "follower", "last")
    assert automation.asks() == set(), "trying the same again is what retries are for"
    BROKEN.clear()
    CONTENT["a"] = 40
    automation.make("a", "source")
    assert automation.asks() == {("follower", "a"), ("last", "a")}


def test_a_partition_that_was_never_made_waits_for_its_parents(automation: Automation) -> None:
    automation.instance.add_dynamic_partitions("key", ["c"])
    assert automation.asks() == set()
    CONTENT["c"] = 50
    automation.make("c", "source")
    assert automation.asks() == {("follower", "c"), ("last", "c")}


def test_changes_while_nobody_looked_are_not_lost(automation: Automation) -> None:
    ask: Callable[[], set[tuple[str, str]]] = automation.asks
    CONTENT.update(a=30, b=50)
    automation.make("a", "source")
    automation.make("b", "source")
    automation.make("b", "source")  # equal content after it hides nothing
    assert ask() == {("follower", "a"), ("last", "a"), ("follower", "b"), ("last", "b")}
