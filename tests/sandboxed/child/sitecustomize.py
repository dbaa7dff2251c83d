"""Makes ``judge_many.py`` beside this a module of the library, in a child process whose PYTHONPATH leads here."""

from pathlib import Path

import smalti

smalti.__path__.append(str(Path(__file__).parent))
