"""Commands on files and folders that pointer files stand for."""
