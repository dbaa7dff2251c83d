"""From a table to a submission: split, tokens, training, prediction, evaluation."""
