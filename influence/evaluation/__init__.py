"""Retrainings, intervals, the verdict, and the evaluate step."""
