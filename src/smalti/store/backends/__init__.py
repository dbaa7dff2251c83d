"""What keeps the bytes of a store: ten operations over a folder, a bucket, or memory."""
