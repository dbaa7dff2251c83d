"""Train in a store: a run finds there what an equal run finished, or the state in which it was killed itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from smalti import canonical
from smalti.canonical import Json
from smalti.codecs.checkpoint import Checkpoint
from smalti.contracts import validated
from smalti.errors import Damaged, NotFound
from smalti.memoize import FOLDER, recall
from smalti.settings import Settings
from smalti.store import Ref, Store
from smalti.training.environment import describe_environment
from smalti.training.loop import N, Report, Task, Trained, train
from smalti.training.ranks import this_process
from smalti.training.settings import EVERY_MINUTE, Saving, TrainingSettings


@dataclass(frozen=True, slots=True)
class StoredTraining:
    """What a finished training run left in the store: its last checkpoint, and its best (see ``Trained``)."""

    last: Ref
    best: Ref


def train_in_store(
    store: Store,
    task: Task[N],
    settings: TrainingSettings,
    identity: Mapping[str, Json],
    report: Report = lambda _: None,
    saving: Saving = EVERY_MINUTE,
) -> StoredTraining:
    """Train a task and store its last and its best checkpoint; killed at any moment and called again, it goes on.

    What was trained before, of equal parts in an equal environment, is read and not trained again, as
    :mod:`smalti.memoize` says; several ranks train it anew. Until a run is finished its newest states are in the store
    under one name, made of ``identity``, the task's configuration, the settings and the environment: in another
    environment a run starts anew, because its bits would differ. Two processes should not train the same at once: they
    would do the work twice, to the same result.

    Args:
        identity: what the task is made of, as JSON, e.g. the digests of its data.
        report: as ``train`` takes it; also gets ``{"checkpoint": digest, "epoch": epoch, "step": step}`` for every
            state that was stored, with the digest of its last checkpoint and the step of the current epoch, and
            ``{"unreadable": digest, "why": sentence}`` for a state that it could not resume from.
        saving: how often a state is stored, and how many are kept.

    Raises:
        Refused: what ``train`` refuses.
        ContractBroken: a weight is not finite.
        Unavailable: the machine did not let it be stored, or what ``train`` raises.
    """
    store.init()
    name = state_name(
        "training",
        {
            **identity,
            "model": dict(task.model_config),
            "tokenizer": task.tokenizer,
            "settings": asdict(settings),
        },
    )

    alone, finished = this_process().size == 1, FOLDER + name
    if alone and not Settings().disable_memoize and recall(store, finished):
        parts = store.record(finished).children
        return StoredTraining(store.ref(parts["last"]), store.ref(parts["best"]))

    def save(trained: Trained) -> None:
        last = store.put(trained.last)
        best = last if trained.best is trained.last else store.put(trained.best)
        store.put({"last": last, "best": best}, name)
        store.forget(name, keep_last=saving.keep_last)
        state = trained.last.state
        report({"checkpoint": last.digest, "epoch": state["epoch"], "step": state["step"]})

    trained = train(task, settings, _newest_state(store, name, report), report, save, saving)
    if this_process().rank:
        return _stored_by_first(None)
    last, best = (
        store.put(validated(checkpoint, "the trained network")) for checkpoint in (trained.last, trained.best)
    )
    store.put({"last": last, "best": best}, finished)
    store.forget(name)
    return _stored_by_first(StoredTraining(last, best))


def state_name(kind: str, identity: Mapping[str, Json]) -> str:
    """Return the name of a run's stored states; a state of other versions or another machine has another name."""
    text = canonical.text({**identity, "on": describe_environment()}, sort=True)
    return f"{kind}/{hashlib.sha256(text).hexdigest()[:32]}"


def _newest_state(store: Store, name: str, report: Report) -> Trained | None:
    """Return the newest whole state that a killed run left; one that is damaged is reported and passed over."""
    for version in reversed(store.versions(name)):
        try:
            state: dict[str, Checkpoint] = store.get(version.address)
        except (NotFound, Damaged) as error:
            report({"unreadable": version.address, "why": str(error)})
        else:
            return Trained(**state)
    return None


def _stored_by_first(stored: StoredTraining | None) -> StoredTraining:
    """Return on every rank what rank 0 has stored."""
    refs: dict[str, Any] = this_process().from_first(asdict(stored) if stored else None)
    return StoredTraining(**{name: Ref(**ref) for name, ref in refs.items()})
