"""What is known about data and where it comes from: splits and downloads."""
