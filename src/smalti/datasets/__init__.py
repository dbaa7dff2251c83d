"""What is known about data and where it comes from: cards, splits, simulated scans, arrivals."""
