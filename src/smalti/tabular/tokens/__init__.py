"""Texts as token ids with a number beside each: the vocabulary and the scales of numbers are learned."""
