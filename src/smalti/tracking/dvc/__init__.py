"""What a DVC repository holds, read without DVC: its ``.dvc`` files and ``dvc.lock``, its configuration, its cache.

Source: https://dvc.org/doc/user-guide/project-structure, and the files that DVC 2 and 3 write.
"""

from smalti.tracking.dvc.importing import Imported, ImportReport, Skipped, import_dvc

__all__ = ["ImportReport", "Imported", "Skipped", "import_dvc"]
