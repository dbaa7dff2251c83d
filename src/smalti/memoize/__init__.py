"""Results of functions, kept in the store by what went in: the same call again is read, not computed.

``@memoize(version=1)`` says that a function's result depends on nothing but its arguments. Nothing is kept until
somebody says where::

    @memoize(version=1)
    def nearest(xcoords, ycoords, count): ...

    with remembering(store):
        groups = nearest(xcoords, ycoords, 4)

What is kept can go at any time: ``smalti clean``, or ``store.forget``. Until then it has a name,
``memoized/<function>/<key>``, so that no collection takes it.

``SMALTI_DISABLE_MEMOIZE=1`` computes everything. ``SMALTI_MEMOIZE_KEY_MODE`` says how well a key has to know its data;
every other argument, and the version that the function states, is part of it in each mode:

- ``dataset``: a scan counts by its metadata (name, source, version, ...), not by its bytes: quick, and trusting;
- ``data`` (the default): everything counts by its content;
- ``full``: and so do the source of the function's module, and the versions of Python and numpy.
"""

from smalti.memoize.calls import FOLDER, KEY_MODES, memoize, recall, remembering
from smalti.memoize.forgetting import Forgotten, forget_all
from smalti.memoize.keys import KEY_DIGITS

__all__ = ["FOLDER", "KEY_DIGITS", "KEY_MODES", "Forgotten", "forget_all", "memoize", "recall", "remembering"]
