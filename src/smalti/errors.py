"""Every error Smalti raises, in one tree, sorted by what the person catching it does next.

    SmaltiError
    ├── NotFound          (LookupError)   ask for something else: no such name, digest, file or key
    │   └── Ambiguous                     say it more precisely: several things fit
    ├── Refused           (ValueError)    mend the input: it cannot be accepted as it is
    │   └── ContractBroken                the same, with every violation listed
    ├── Damaged           (OSError)       repair or restore: stored bytes are not what was stored
    └── Unavailable       (OSError)       try later or elsewhere: disk full, no permission, child process died

A message is one sentence: what was given, what was wanted, where, and what to do.
"""

from __future__ import annotations


class SmaltiError(Exception):
    """The root of the tree."""


class NotFound(SmaltiError, LookupError):
    """Nothing answers to the name, digest, file or key that was given."""


class Ambiguous(NotFound):
    """More than one thing answers to what was given."""


class Refused(SmaltiError, ValueError):
    """The input cannot be accepted as it is; nothing was stored."""


class ContractBroken(Refused):
    """The input breaks its contract; ``violations`` holds every breach, each with its place and remedy."""

    def __init__(self, message: str, violations: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class Damaged(SmaltiError, OSError):
    """Stored bytes do not match their digest."""


class Unavailable(SmaltiError, OSError):
    """The machine did not let the work be done: disk full, no permission, a child process that died."""
