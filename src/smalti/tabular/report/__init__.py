"""What people get of a trained table: pictures, tables of metrics and history, the model card, the submission."""
