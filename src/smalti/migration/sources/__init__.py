"""Where files of another system are read from, and never written to: a folder, a bucket, an MLflow tracking store."""
