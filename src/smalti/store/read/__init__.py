"""Reading what is stored: records, content put together, leaves verified, files mapped."""
