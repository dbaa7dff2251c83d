"""What the systems that are migrated from keep and where, and what that becomes: a module for each layout."""
