"""Makes the modules beside this ones of the library, in a process whose PYTHONPATH leads here: what a sandbox runs."""

from pathlib import Path

import smalti

smalti.__path__.append(str(Path(__file__).parent))
