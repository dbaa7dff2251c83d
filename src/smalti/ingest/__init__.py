"""From a file that arrives to a stored value: source, ledger, sandbox, validation, quarantine."""
