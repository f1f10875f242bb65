"""Recommendations for a price: what is known of the landscape, what to measure next, the answer."""
