"""Large files and folders under version control: a pointer file in git, the content in the store."""
