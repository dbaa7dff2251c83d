"""What a run ran on: version of the code, environment, seeds and process, gathered once per process where they stay."""
