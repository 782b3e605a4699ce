"""Answers as JSON: the words, the units and the times in which figures leave."""
