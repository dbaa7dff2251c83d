"""Pictures and folders for people to look at."""
