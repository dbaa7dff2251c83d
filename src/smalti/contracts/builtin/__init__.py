"""The contracts that Smalti ships."""
